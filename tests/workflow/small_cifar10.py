"""`config/cifar10.yaml`, shortened: the same file, rules and stages, with tiny networks, few images and few updates."""

from __future__ import annotations

from typing import Any

import yaml
from config.studies import ROOT

STUDY = ROOT / "config" / "cifar10.yaml"
SMALLER = {
    "steps": 6,
    "warmup_steps": 1,
    "batch_size": 10,
    "width": 16,
    "depth": 2,
    "num_heads": 2,
    "channels": 32,  # a multiple of the groups of their norms
    "num_res_blocks": 1,
    "code_dim": 8,
    "codebook_size": 32,
    "feature_dim": 16,
    "start_step": 2,
    "resamples": 20,
}
"""What every key of this name becomes, wherever the file has it."""


def shortened_cifar10(dataset: dict[str, Any], **changes: int) -> dict[str, Any]:
    """The study on ``dataset`` with one seed of a tokenizer of the grid, its final variant and a generator on that.

    ``changes``: other numbers than those of ``SMALLER``.
    """
    document: dict[str, Any] = yaml.safe_load(STUDY.read_text())
    document = _smaller(document, {**SMALLER, **changes})
    document["dataset"] = {key: document["dataset"][key] for key in ("resize", "image_size")} | dataset
    document["defaults"]["classifier"]["model"]["channels"] = [8, 16]
    document["evaluation"] |= {"num_samples": 20, "checks": {"allow": ["duplicates", "constant_images"]}}
    _keep(document, tokenizers=("b8", "b8-final"), generators=("b8-vit",), samplers=("eight-steps",))
    document["generators"]["b8-vit"] |= {"samplers": ["eight-steps"], "seeds": [0]}
    document["seeds"] = [0]
    tables, figures = document["reporting"]["tables"], document["reporting"]["figures"]
    tables["table4"] = {"sizes": ["b"], "tokens": [8]}
    for section, name in (
        *((document, "adaptive_length"), (tables, "adaptive_length"), (tables, "table3c"), (tables, "token_kinds")),
        *((figures, "quality_against_tokens"), (figures, "images_by_length"), (figures, "hard_and_soft")),
        *((document, "floors"), (document["classifiers"], "tower"), (document["evaluation"], "encoders")),
    ):
        del section[name]  # of tokenizers that are left out; and the second judge
    figures["samples"] |= {"generator": "b8-vit", "sampler": "eight-steps", "per_class": 2}
    figures["reconstructions"]["num_images"] = 4
    document["reporting"]["checks"] = {"enabled": False}
    return document


def _smaller(value: Any, numbers: dict[str, int]) -> Any:
    if isinstance(value, dict):
        return {key: numbers.get(key, _smaller(inner, numbers)) for key, inner in value.items()}
    return [_smaller(inner, numbers) for inner in value] if isinstance(value, list) else value


def _keep(document: dict[str, Any], **names: tuple[str, ...]) -> None:
    """Only these tokenizers, generators and samplers, and the rows that show them."""
    for section, kept in names.items():
        document[section] = {name: document[section][name] for name in kept}
    known = {"vqgan", *(name for kept in names.values() for name in kept)}

    def stays(row: dict[str, Any]) -> bool:
        return {row[key] for key in ("tokenizer", "generator", "sampler") if key in row} <= known

    reporting = document["reporting"]
    lists = [reporting["figures"]["training_curves"]]
    lists += [table["rows"] for table in reporting["tables"].values() if "rows" in table]
    for rows in [*lists, reporting["figures"]["reconstructions"]["rows"]]:
        rows[:] = [row for row in rows if stays(row)]
