"""Sampling is one graph without a wait for the device: what CUDA graphs and torch.compile need, decoding included.

A value that the host had to read, a shape that depends on data or a draw from a global generator would break the graph.

Run: pytest tests/generation/test_compile.py
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from titok.config.generator_model import GeneratorModel
from titok.config.model import TokenizerModel, TransformerSize, VQGANModel
from titok.config.sampling import PUBLISHED_SAMPLERS, Sampler
from titok.generation import decode
from titok.generation.decode import decode_tokens
from titok.generation.guidance import guided_logits
from titok.generation.noise import CounterNoise
from titok.models.generator import MaskGIT, build_generator
from titok.models.image_tokenizer import Ids
from titok.models.tokenizer import TiTok

SIZE = TransformerSize(width=32, depth=1, num_heads=2)
NUM_TOKENS, CODES = 8, 64


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    """Compiled code of other tests neither counts nor stays."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def generator_of(kind: str) -> MaskGIT:
    torch.manual_seed(0)
    shape = {"num_tokens": NUM_TOKENS, "codebook_size": CODES, "num_classes": 10, "width": 32, "depth": 2}
    return build_generator(GeneratorModel(kind=kind, num_heads=2, **shape)).eval().requires_grad_(False)  # type: ignore[arg-type]


def tokenizer_of(head: str) -> TiTok:
    torch.manual_seed(0)
    vqgan = VQGANModel(channels=8, channel_multipliers=(1, 1, 1), num_res_blocks=1, code_dim=8, norm_groups=4)
    settings = TokenizerModel(
        head=head,  # type: ignore[arg-type]
        image_size=16,
        patch_size=4,
        encoder=SIZE,
        decoder=SIZE,
        num_latent_tokens=NUM_TOKENS,
        codebook_size=CODES,
        vqgan=vqgan if head == "proxy_codes" else None,
    )
    return TiTok(settings).eval().requires_grad_(False)


def sampler_of(name: str) -> Sampler:
    return PUBLISHED_SAMPLERS[name].model_copy(update={"num_steps": 4})


@pytest.mark.parametrize("kind", ["vit", "uvit"])
@pytest.mark.parametrize("name", PUBLISHED_SAMPLERS)
@pytest.mark.long
def test_the_whole_decoding_is_one_graph(kind: str, name: str) -> None:
    generator, tokenizer, sampler = generator_of(kind), tokenizer_of("proxy_codes"), sampler_of(name)

    def sample(labels: Tensor, places: Tensor) -> Tensor:
        return tokenizer.detokenize(Ids(decode_tokens(generator, labels, sampler, CounterNoise(3), places)))

    labels, places = torch.tensor([1, 0, 9]), torch.tensor([5, 6, 7])
    compiled = torch.compile(sample, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(labels, places), sample(labels, places), rtol=0, atol=0)


@pytest.mark.parametrize("head", ["proxy_codes", "pixels"])
def test_a_tokenizer_is_one_graph_each_way(head: str) -> None:
    tokenizer = tokenizer_of(head)
    images = torch.rand(2, 3, 16, 16)
    tokens = tokenizer.tokenize(images)
    assert torch.equal(torch.compile(tokenizer.tokenize, backend="eager", fullgraph=True)(images).values, tokens.values)
    restored = torch.compile(tokenizer.detokenize, backend="eager", fullgraph=True)(tokens)
    torch.testing.assert_close(restored, tokenizer.detokenize(tokens), rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["vit", "uvit"])
def test_nothing_in_the_loop_waits_for_the_device(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake tensors have shapes and no values: reading one raises. The schedule is made on the host, beforehand."""
    steps = decode.decoding_steps(NUM_TOKENS, sampler_of("titok-s-128"))
    monkeypatch.setattr(decode, "decoding_steps", lambda num_tokens, sampler: steps)
    generator = generator_of(kind)
    with FakeTensorMode(allow_non_fake_inputs=True):
        labels = torch.zeros(3, dtype=torch.int64)
        tokens = decode_tokens(generator, labels, sampler_of("titok-s-128"), CounterNoise(0), torch.arange(3))
        assert tokens.shape == (3, NUM_TOKENS)
        with pytest.raises(DataDependentOutputException):
            tokens[0, 0].item()


@pytest.mark.parametrize("kind", ["vit", "uvit"])
def test_bfloat16_samples_tokens_of_the_codebook(kind: str) -> None:
    """Autocast changes logits a little; noise, confidences and guidance stay in float32."""
    generator, sampler = generator_of(kind), sampler_of("titok-l-32")
    labels = torch.arange(6)
    with torch.autocast("cpu", torch.bfloat16):
        tokens = decode_tokens(generator, labels, sampler, CounterNoise(1), labels)
        logits = guided_logits(generator, tokens, labels, 2.0)
    assert logits.dtype == torch.float32
    assert int(tokens.min()) >= 0
    assert int(tokens.max()) < CODES, "no mask or class id is left"
    exact = guided_logits(generator, tokens, labels, 2.0)
    assert 0 < (logits - exact).abs().max() < 0.05


@pytest.mark.long
def test_inductor_gives_the_same_tokens() -> None:
    """The default backend with real code generation; ties apart, fusing may not move a token."""
    generator, sampler = generator_of("vit"), sampler_of("titok-l-32")
    labels = torch.arange(4)
    expected = decode_tokens(generator, labels, sampler, CounterNoise(1), labels)
    compiled = torch.compile(lambda classes: decode_tokens(generator, classes, sampler, CounterNoise(1), classes))
    assert torch.equal(compiled(labels), expected)
