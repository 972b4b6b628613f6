"""The interface of tokenizers: what callers may rely on, whichever family it is.

Run: pytest tests/models/test_image_tokenizer.py
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from models.toy_tokenizer import Toy, ToyModel
from torch import Tensor

from titok.config.model import ClassifierModel, TokenizerModel, TransformerSize, VQGANModel
from titok.config.soft_tokens import FrozenEncoder, SoftModel
from titok.errors import ModelError
from titok.models.flops import detokenize_flops, tokenizer_parts, vqgan_parts
from titok.models.image_tokenizer import Ids, ImageTokenizer, Reconstruction, TokenFacts
from titok.models.soft_tokenizer import SoftTokenizer
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN

PACKAGE = Path(__file__).parents[2] / "titok"
SIZE = TransformerSize(width=16, depth=1, num_heads=2, init_std=0.3)
PROXY = VQGANModel(
    channels=8, channel_multipliers=(1, 1, 1), num_res_blocks=1, code_dim=8, codebook_size=16, norm_groups=4
)
SHAPE = {"image_size": 16, "patch_size": 4, "num_latent_tokens": 6, "codebook_size": 32, "code_dim": 4}


class Brightness(Toy):
    """A toy of variable length: the ids of an image end with its last block that is not black."""

    @property
    def facts(self) -> TokenFacts:
        return super().facts._replace(has_lengths=True)

    def tokenize(self, images: Tensor) -> Ids:
        values = super().tokenize(images).values
        places = torch.arange(1, values.shape[1] + 1, device=values.device)
        return Ids(values, ((values > 0) * places).amax(dim=1))


def titok(**changed: object) -> TiTok:
    return TiTok(TokenizerModel.model_validate({"encoder": SIZE, "decoder": SIZE, "vqgan": PROXY, **SHAPE, **changed}))


def soft() -> SoftTokenizer:
    encoder = FrozenEncoder(classifier=ClassifierModel(channels=(4, 8)), image_size=16)
    return SoftTokenizer(SoftModel(encoder=encoder, num_latent_tokens=4, patch_size=4, decoder=SIZE))


FAMILIES: dict[str, Callable[[], ImageTokenizer]] = {
    "two_stage": titok,
    "single_stage": lambda: titok(head="pixels", vqgan=None),
    "vae": lambda: titok(kind="vae", head="pixels", vqgan=None),
    "soft": soft,
    "vqgan": lambda: VQGAN(PROXY),
    "toy": lambda: Toy(ToyModel(image_size=16, block=4, codebook_size=8)),
    "brightness": lambda: Brightness(ToyModel(image_size=16, block=4, codebook_size=8)),
}
"""What every family, one of a user's own and one of variable length included, must pass."""
DISCRETE = [name for name in FAMILIES if name not in ("vae", "soft")]


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model(request: pytest.FixtureRequest) -> ImageTokenizer:
    torch.manual_seed(0)
    return FAMILIES[request.param]().eval()


@pytest.mark.parametrize("model", DISCRETE, indirect=True)
def test_ids_are_of_the_codebook_and_as_many_as_said(model: ImageTokenizer, images: Tensor) -> None:
    facts, ids = model.facts, model.tokenize(images)
    assert facts.is_discrete
    assert facts.noise_shape is None
    assert ids.values.dtype == torch.int64
    assert ids.values.shape == (3, facts.most_tokens or 16)
    assert 0 <= int(ids.values.min()) <= int(ids.values.max()) < (facts.codebook_size or 0)
    assert (ids.lengths is not None) == facts.has_lengths
    assert facts.image_size in (16, None)


@pytest.mark.parametrize("model", FAMILIES, indirect=True)
def test_images_come_back_in_their_shape_and_reconstruct_is_the_way_through_the_ids(
    model: ImageTokenizer, images: Tensor
) -> None:
    with torch.no_grad():
        found = model.reconstruct(images)
        assert isinstance(found, Reconstruction)
        assert found.images.shape == images.shape
        if found.ids is None:
            restored = model.decode(found.posterior.mean if found.posterior else model.posterior(images).mean)
        else:
            assert found.posterior is None
            torch.testing.assert_close(found.ids, model.tokenize(images))
            restored = model.detokenize(found.ids)
    torch.testing.assert_close(restored.clamp(0, 1), found.images.clamp(0, 1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("model", FAMILIES, indirect=True)
def test_an_image_alone_is_what_it_is_among_others(model: ImageTokenizer, images: Tensor) -> None:
    with torch.no_grad():
        assert model.encode(images).ndim == 3
        whole, alone = model.reconstruct(images), model.reconstruct(images[1:2])
    torch.testing.assert_close(whole.images[1:2], alone.images, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("model", FAMILIES, indirect=True)
def test_it_builds_from_its_settings_alone(model: ImageTokenizer) -> None:
    again = type(model)(type(model.config).model_validate(model.config.resolved()))
    again.load_state_dict(model.state_dict())
    assert again.facts == model.facts


@pytest.mark.parametrize("model", ["vae"], indirect=True)
def test_continuous_latents_have_no_ids_and_say_what_there_is_instead(model: ImageTokenizer, images: Tensor) -> None:
    assert model.facts[1:] == (6, None, False, (6, 4), (), False)
    assert model.facts.bits() is None
    for operation in (lambda: model.tokenize(images), lambda: model.detokenize(Ids(torch.zeros(1, 6).long()))):
        with pytest.raises(ModelError, match=r"needs ids, and this TiTok has none: .*decode\(latents\) for images"):
            operation()
    noise = torch.ones(3, 6, 4)
    with torch.no_grad():
        sampled, mean = model.reconstruct(images, noise), model.reconstruct(images)
        assert sampled.posterior is not None
        torch.testing.assert_close(sampled.images, model.decode(sampled.posterior.sample(noise)))
    assert (sampled.images - mean.images).abs().max() > 1e-3


@pytest.mark.parametrize("model", DISCRETE, indirect=True)
def test_ids_leave_no_posterior(model: ImageTokenizer, images: Tensor) -> None:
    with pytest.raises(ModelError, match="turns images into ids and has no posterior; use tokenize"):
        model.posterior(images)


def test_facts_say_bits() -> None:
    assert titok().facts.bits() == 6 * 5
    assert titok().facts.bits(2.5) == 12.5
    assert VQGAN(PROXY).facts.bits() is None
    assert VQGAN(PROXY).facts.bits(16) == 64


def test_ids_of_several_lengths_count_what_is_there(images: Tensor) -> None:
    ids = Ids(torch.tensor([[3, 0, 7], [5, 0, 0]]), torch.tensor([3, 1]))
    assert ids.counted().tolist() == [3, 0, 7, 5]
    assert Ids(ids.values).counted().tolist() == [3, 0, 7, 5, 0, 0]
    with pytest.raises(ModelError, match="images have 1 to 3 ids, but equally many of each are needed here"):
        ids.of_one_length()
    assert Ids(ids.values, torch.tensor([3, 3])).of_one_length() is ids.values
    dark = torch.cat([images[:1], torch.zeros(1, 3, 16, 16)])
    dark[0, :, 12:] = 0
    found = FAMILIES["brightness"]().tokenize(dark)
    assert found.lengths is not None
    assert found.lengths.tolist() == [12, 0]
    assert len(found.counted()) == 12


@pytest.mark.parametrize("pixel_lookup", ["soft", "argmax"])
def test_operations_of_decoding_are_those_of_its_parts(pixel_lookup: str) -> None:
    model = titok(pixel_lookup=pixel_lookup)
    parts = tokenizer_parts(model.config)
    assert detokenize_flops(model, 6) == parts["decoder"].forward + parts["pixel_decoder"].forward > 0
    assert detokenize_flops(VQGAN(PROXY), 16) == vqgan_parts(PROXY, 16)["decoder"].forward > 0
    assert detokenize_flops(FAMILIES["toy"](), 16) == 0


FAMILY_NAMES = {"TiTok", "VQGAN", "TokenizerModel", "VQGANModel"}


def questions_about_families(source: str) -> list[str]:
    """`isinstance(x, TiTok)`, `match` on a family, and types such as `TiTok | VQGAN`, as source text."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
            names = {word.id for word in ast.walk(node.args[1]) if isinstance(word, ast.Name)}
        elif isinstance(node, ast.MatchClass):
            names = {ast.unparse(node.cls)}
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            names = {word.id for word in (node.left, node.right) if isinstance(word, ast.Name)}
            names = names if len(names) == 2 else set()
        else:
            continue
        if names & FAMILY_NAMES:
            found.append(ast.unparse(node))
    return found


def test_the_test_below_finds_such_questions() -> None:
    for line in ("isinstance(m, TiTok)", "isinstance(m.config, TokenizerModel | VQGANModel)", "x: TiTok | VQGAN"):
        assert questions_about_families(line)
    assert questions_about_families("match m:\n    case VQGAN():\n        pass")
    assert not questions_about_families("x: VQGAN | None = VQGAN(c)\nisinstance(m, ImageTokenizer)")


def test_nobody_outside_the_models_asks_of_what_family_a_tokenizer_is() -> None:
    files = [path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE / "models"]
    assert len(files) > 150
    found = {str(path): asked for path in files if (asked := questions_about_families(path.read_text()))}
    assert found == {}
