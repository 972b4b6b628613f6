"""Names, sizes and settings of the released generators."""

from __future__ import annotations

import json
import zlib

import pytest
import torch
from golden.rule import HERE
from golden.tiny_generators import TINY_GENERATORS, tiny_generator

from titok.config.generator_model import GeneratorModel
from titok.models.generator import build_generator
from titok.models.published import PublishedFormatError
from titok.models.published_generators import (
    PUBLISHED_GENERATORS,
    from_published,
    generator_model,
    parameter_names,
    to_published,
)

# Specification 4.2 and 4.3: parameters, entries of the official state_dict.
OFFICIAL_SIZES = {"titok-l-32": (177_202_432, 391), "titok-b-64": (177_227_008, 391), "titok-s-128": (294_990_848, 257)}
NOT_DECAYED = ("ln", "bias", "latent_tokens", "mask_token", "embedding", "norm", "gamma", "embed")


@pytest.mark.parametrize("name", OFFICIAL_SIZES)
def test_official_sizes(name: str) -> None:
    with torch.device("meta"):
        model = build_generator(PUBLISHED_GENERATORS[name])
    published = to_published(model.state_dict(), PUBLISHED_GENERATORS[name])
    assert (sum(tensor.numel() for tensor in published.values()), len(published)) == OFFICIAL_SIZES[name]
    assert sum(parameter.numel() for parameter in model.parameters()) == OFFICIAL_SIZES[name][0]


@pytest.mark.parametrize("name", TINY_GENERATORS)
def test_names_and_values_survive_both_directions(name: str) -> None:
    model, golden = tiny_generator(name)
    published = to_published(model.state_dict(), model.config)
    assert {key: list(tensor.shape) for key, tensor in published.items()} == {
        key: entry["shape"] for key, entry in golden.keys.items()
    }
    for key, tensor in published.items():
        assert zlib.crc32(tensor.numpy().tobytes()) == golden.keys[key]["crc32"], key
    ours = from_published(published, model.config)
    assert ours.keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, model.state_dict()[key]) for key, tensor in ours.items())


@pytest.mark.parametrize("name", TINY_GENERATORS)
def test_weight_decay_spares_the_same_parameters_under_either_name(name: str) -> None:
    """The official groups go by parts of names (specification 8.3), so renaming must not move a parameter."""

    def decayed(key: str, ndim: int) -> bool:
        return ndim >= 2 and not any(part in key for part in NOT_DECAYED)

    model, golden = tiny_generator(name)
    state = model.state_dict()
    for ours, theirs in parameter_names(model.config):
        for key in theirs:
            assert decayed(ours, state[ours].ndim) == decayed(key, len(golden.keys[key]["shape"])), (ours, key)


def test_settings_of_a_released_config() -> None:
    document = json.loads((HERE / "generator_uvit_tiny" / "config.json").read_text())
    assert generator_model(document) == GeneratorModel(
        kind="uvit", width=64, depth=4, num_heads=4, mlp_ratio=2.0, num_tokens=16, codebook_size=64, num_classes=10
    )
    del document["model"]["generator"]["image_seq_len"]
    with pytest.raises(PublishedFormatError, match="no key 'image_seq_len'"):
        generator_model(document)


@pytest.mark.parametrize("name", TINY_GENERATORS)
@pytest.mark.parametrize("direction", [from_published, to_published])
def test_foreign_weights_are_refused(name: str, direction: object) -> None:
    model, _ = tiny_generator(name)
    state = model.state_dict() if direction is to_published else to_published(model.state_dict(), model.config)
    incomplete = dict(list(state.items())[:-1])
    with pytest.raises(PublishedFormatError, match=f"has no '{list(state)[-1]}'"):
        direction(incomplete, model.config)
    with pytest.raises(PublishedFormatError, match=r"has 1 entries .* the first is 'decoder\.ffn'"):
        direction({**state, "decoder.ffn": torch.zeros(1)}, model.config)
