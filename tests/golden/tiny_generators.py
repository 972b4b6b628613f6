"""The two tiny generators of the golden folders, with rule-made weights loaded under their published names."""

from __future__ import annotations

import json

from golden.rule import HERE, Golden, load_golden, rule_state_dict
from titok.models.generator import MaskGIT, build_generator
from titok.models.published_generators import from_published, generator_model

TINY_GENERATORS = ("generator_vit_tiny", "generator_uvit_tiny")


def tiny_generator(name: str) -> tuple[MaskGIT, Golden]:
    """The generator in eval mode, and its golden numbers."""
    golden = load_golden(name)
    config = generator_model(json.loads((HERE / name / "config.json").read_text()))
    shapes = {key: tuple(entry["shape"]) for key, entry in golden.keys.items()}
    model = build_generator(config).eval()
    model.load_state_dict(from_published(rule_state_dict(shapes, golden.multipliers), config))
    return model, golden
