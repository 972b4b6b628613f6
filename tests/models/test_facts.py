"""Facts about full-size models: parameters as published, and what follows from tokens and codebooks."""

from __future__ import annotations

import pytest

from titok.commands.claims import full_size_facts
from titok.config.model import VQGANModel
from titok.models.facts import tokenizer_facts

PUBLISHED_PARAMETERS = {
    "l-32": 641_054_735,
    "l-32-vit": 177_202_432,
    "b-64-vit": 177_227_008,
    "s-128-uvit": 294_990_848,
}
"""Specification 1.1, 4.2 and 4.3."""


@pytest.fixture(scope="module")
def facts() -> dict[str, dict[str, float]]:
    return full_size_facts()


@pytest.mark.parametrize(("name", "parameters"), PUBLISHED_PARAMETERS.items())
def test_parameters_are_the_published_ones(facts: dict[str, dict[str, float]], name: str, parameters: int) -> None:
    assert facts[name]["parameters"] == parameters


def test_bits_and_compression(facts: dict[str, dict[str, float]]) -> None:
    assert (facts["l-32"]["bits_per_image"], facts["l-32"]["compression"]) == (384, 4096)
    assert facts["bl-64-vq8k"]["bits_per_image"] == 64 * 13
    assert "bits_per_image" not in facts["ll-32-vae"]
    assert facts["l-64-512"]["compression"] == 512 * 512 * 24 / (64 * 12)


def test_the_vqgan_has_a_code_per_16_pixels() -> None:
    facts = tokenizer_facts(VQGANModel(), 512)
    assert (facts["num_latent_tokens"], facts["bits_per_image"]) == (1024, 10240)
