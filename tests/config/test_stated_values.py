"""What was stated, by whom, and what the resolved jobs of the ImageNet studies are told: a table of values.

Run: pytest tests/config/test_stated_values.py
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from config.studies import ROOT

from titok.config.jobs import job, job_names
from titok.config.load import load_study

STUDIES = {size: load_study(ROOT / "config" / f"imagenet{size}.yaml") for size in (256, 512)}

PAPER = "paper, section 4.1"
CONFIG = "released config"
CODE = "released code: no config switches the layout off"
AUTHOR = "the author, issue 67 of the released repository"

STATED: list[tuple[str, str, str, str, Any]] = [
    # (source, study's jobs by kind, by name, key, value); an empty name is all of the kind
    (CODE, "stage1", "", "model.latent_layout", "interleaved"),
    (CODE, "stage2", "", "model.latent_layout", "interleaved"),
    ("released single-stage weights", "single_stage", "", "model.latent_layout", "per_token"),
    (AUTHOR, "single_stage", "", "training.steps", 1_000_000),
    (AUTHOR, "single_stage", "", "training.batch_size", 256),
    (AUTHOR, "single_stage", "", "losses.perceptual.kind", "lpips+convnext_s"),
    (PAPER, "stage1", "l-32", "training.steps", 1_000_000),
    (PAPER, "stage1", "b-64", "training.steps", 1_000_000),
    (PAPER, "stage1", "s-128", "training.steps", 1_000_000),
    (PAPER, "stage1", "l32", "training.steps", 500_000),
    (PAPER, "stage1", "l32", "model.codebook_size", 1024),
    (PAPER, "stage1", "l32", "model.code_dim", 16),
    (PAPER, "stage1", "l-32", "model.codebook_size", 4096),
    (CONFIG, "stage1", "l-32", "model.code_dim", 12),
    (CONFIG, "stage1", "", "training.batch_size", 256),
    (CONFIG, "stage1", "", "training.optimizer.betas", [0.9, 0.99]),
    (CONFIG, "stage2", "", "training.steps", 500_000),
    (CONFIG, "stage2", "", "training.optimizer.betas", [0.9, 0.999]),
    (CONFIG, "stage2", "", "losses.adversarial.start_step", 20_000),
    (PAPER, "generator", "", "training.batch_size", 2048),
    (PAPER, "generator", "", "training.steps", 500_000),
    (PAPER, "generator", "", "training.optimizer.weight_decay", 0.03),
]


def resolved(kind: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Study and job, and what it is told."""
    for size, study in STUDIES.items():
        for found_kind, found in job_names(study):
            if found_kind == kind and name in ("", found):
                yield f"imagenet{size} {kind}/{found}", job(study, found_kind, found).resolved()


def value(document: dict[str, Any], key: str) -> Any:
    """Of a key with dots."""
    found: Any = document
    for part in key.split("."):
        found = found[part]
    return found


@pytest.mark.parametrize(("source", "kind", "name", "key", "expected"), STATED)
def test_jobs_are_told_what_was_stated(source: str, kind: str, name: str, key: str, expected: Any) -> None:
    told = {place: value(document, key) for place, document in resolved(kind, name)}
    assert told, f"no job {kind}/{name}"
    assert {place: found for place, found in told.items() if found != expected} == {}, f"stated by {source}"
