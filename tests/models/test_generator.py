"""Generators against the official code's numbers, and what each part of them must and must not do."""

from __future__ import annotations

import math

import pytest
import torch
from golden.tiny_generators import TINY_GENERATORS, tiny_generator

from titok.config.generator_model import GeneratorModel
from titok.models.generator import MaskGIT, build_generator

# Recommended tolerances of the golden READMEs.
TOLERANCES = {
    "generator_vit_tiny": {"logits_cond": 4e-5, "logits_uncond": 4e-5},
    "generator_uvit_tiny": {"logits_cond": 2e-4, "logits_uncond": 9e-5},
}
PLACES = {"model.embeddings": "dropout", "model.encoder.layer.": "blocks.", "embeddings": "token_embedding"}


def small(kind: str, **changes: object) -> GeneratorModel:
    values = {"kind": kind, "width": 32, "depth": 4, "num_heads": 4, "num_tokens": 6, "codebook_size": 16}
    return GeneratorModel.model_validate({**values, "num_classes": 3, **changes})


def our_place(official: str) -> str:
    """Our name of a module of the official generators."""
    for theirs, ours in PLACES.items():
        if official == theirs or (theirs.endswith(".") and official.startswith(theirs)):
            return ours + official[len(theirs) :]
    return official


@pytest.mark.parametrize("name", TINY_GENERATORS)
def test_logits_equal_the_official_ones(name: str) -> None:
    model, golden = tiny_generator(name)
    tokens = torch.from_numpy(golden.inputs["input_ids"]).long()
    labels = torch.from_numpy(golden.inputs["condition"]).long()
    with torch.no_grad():
        found = {
            "logits_cond": model(tokens, labels, torch.zeros(len(labels), dtype=torch.bool)),
            "logits_uncond": model(tokens, labels, torch.ones(len(labels), dtype=torch.bool)),
        }
        torch.testing.assert_close(model(tokens, None), found["logits_uncond"], rtol=0, atol=0)
    for key, atol in TOLERANCES[name].items():
        torch.testing.assert_close(found[key], torch.from_numpy(golden.outputs[key]), rtol=0, atol=atol)


@pytest.mark.parametrize("name", TINY_GENERATORS)
def test_every_layer_equals_the_official_one(name: str) -> None:
    model, golden = tiny_generator(name)
    outputs: dict[str, torch.Tensor] = {}
    for place in golden.extra["trace_names"]:
        module = model.get_submodule(our_place(place))
        module.register_forward_hook(lambda _, __, output, place=place: outputs.__setitem__(place, output))
    with torch.no_grad():
        model(torch.from_numpy(golden.inputs["input_ids"]).long(), torch.from_numpy(golden.inputs["condition"]).long())
    for row, place in enumerate(golden.extra["trace_names"]):
        output = outputs[place]
        length = output.shape[1]
        samples = output[1, [0, 1, length // 2, length - 1], :8]
        torch.testing.assert_close(
            samples,
            torch.from_numpy(golden.outputs["trace_samples"][row]),
            rtol=0,
            atol=1e-4,
            msg=lambda m, p=place: p + m,
        )
        stats = torch.stack([output.mean(), output.std(correction=0), output.abs().max()])
        torch.testing.assert_close(stats, torch.from_numpy(golden.outputs["trace_stats"][row]), rtol=0, atol=1e-4)


def test_norm_eps_of_the_vit() -> None:
    """With tiny embeddings the official 1e-12 differs from the usual 1e-5 by more than 1."""
    model, golden = tiny_generator("generator_vit_tiny")
    with torch.no_grad():
        for table in (model.token_embedding.weight, model.position_embedding, model.token_type_embedding):
            table.mul_(0.001)
        logits = model(
            torch.from_numpy(golden.inputs["input_ids"]).long(), torch.from_numpy(golden.inputs["condition"]).long()
        )
    expected = torch.from_numpy(golden.outputs["logits_cond_small_embeddings"])
    torch.testing.assert_close(logits, expected, rtol=0, atol=4e-5)


@pytest.mark.parametrize("kind", ["vit", "uvit"])
@pytest.mark.parametrize("num_tokens", [1, 2, 7])
def test_any_size(kind: str, num_tokens: int) -> None:
    model = build_generator(small(kind, num_tokens=num_tokens, depth=2, codebook_size=11))
    logits = model(torch.full((3, num_tokens), model.token_space.mask_id), torch.tensor([0, 1, 2]))
    assert logits.shape == (3, num_tokens, 11)


@pytest.mark.parametrize("kind", ["vit", "uvit"])
def test_wrong_number_of_tokens_is_refused(kind: str) -> None:
    model = build_generator(small(kind))
    with pytest.raises(ValueError, match=r"\(2, 5\).*reads 6 per sample"):
        model(torch.zeros(2, 5, dtype=torch.int64), torch.tensor([0, 1]))


@pytest.mark.parametrize("kind", ["vit", "uvit"])
def test_classes_change_the_logits_and_dropping_takes_them_away(kind: str) -> None:
    torch.manual_seed(0)
    model = build_generator(small(kind)).eval()
    tokens = torch.full((2, 6), model.token_space.mask_id)
    logits = model(tokens, torch.tensor([0, 1]))
    assert not torch.allclose(logits[0], logits[1])
    dropped = model(tokens, torch.tensor([0, 1]), torch.tensor([True, True]))
    torch.testing.assert_close(dropped[0], dropped[1])


def test_dropout_acts_in_training_only_and_only_in_the_vit() -> None:
    torch.manual_seed(0)
    for kind, acts in (("vit", True), ("uvit", False)):
        model = build_generator(small(kind, dropout=0.5))
        tokens, labels = torch.zeros(2, 6, dtype=torch.int64), torch.tensor([0, 1])
        assert torch.equal(model(tokens, labels), model(tokens, labels)) != acts
        model.eval()
        assert torch.equal(model(tokens, labels), model(tokens, labels))


@pytest.mark.parametrize("kind", ["vit", "uvit"])
def test_initial_weights(kind: str) -> None:
    """Specification 4.2 and 4.3: std 0.02 (the uvit: cut off at +-2, 100 deviations away), biases 0, norms 1."""
    torch.manual_seed(0)
    model = build_generator(small(kind, width=64, num_tokens=64, codebook_size=128))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert parameter.count_nonzero() == 0, name
        elif "norm" in name:
            assert torch.equal(parameter, torch.ones_like(parameter)), name
        else:
            # Five standard errors of the mean and of the standard deviation of n draws.
            slack = 5 * 0.02 / math.sqrt(parameter.numel())
            assert abs(parameter.mean().item()) < slack, name
            assert abs(parameter.std().item() - 0.02) < slack, name


@pytest.mark.parametrize("kind", ["vit", "uvit"])
def test_every_parameter_learns(kind: str) -> None:
    """Gradients reach every weight; of the token type table, row 1 is never read."""
    torch.manual_seed(0)
    model: MaskGIT = build_generator(small(kind, dropout=0.0))
    model(torch.arange(6)[None], torch.tensor([0])).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        if name == "token_type_embedding":
            assert parameter.grad[0].any()
            assert not parameter.grad[1].any()
        elif not name.endswith("qkv.bias"):  # the key's part is invisible: softmax ignores a common shift
            assert parameter.grad.any(), name
