"""``titok facts | claims``: what the paper says, held against models, scores and its own numbers."""

from __future__ import annotations

import argparse
from pathlib import Path

from titok.config.claims import load_claims
from titok.config.load import load_study
from titok.config.shipped import shipped
from titok.reporting.claims import Evidence, claims_markdown, judge_claims, no_scores, write_claims
from titok.reporting.collect import read_scores
from titok.reporting.paper import read_paper
from titok.runtime.files import read_json, write_json

RELEASED, LARGER = "config/published.yaml", "config/imagenet512.yaml"
"""Where the published sizes are written down: the released models, and those for 512 pixels, which were not."""


def full_size_facts(released: str | Path = RELEASED, larger: str | Path = LARGER) -> dict[str, dict[str, float]]:
    """Measured on every full-size model of the two studies; names of the larger one's tokenizers end in ``-512``."""
    from titok.config.model import VQGANModel
    from titok.config.study_models import generator_model, tokenizer_model
    from titok.models.facts import generator_facts, tokenizer_facts

    study, larger_study = load_study(shipped(released)), load_study(shipped(larger))
    facts = {
        name + suffix: tokenizer_facts(tokenizer_model(some, name, entry.stages[-1]), some.dataset.image_size)
        for some, suffix in ((study, ""), (larger_study, f"-{larger_study.dataset.image_size}"))
        for name, entry in some.tokenizers.items()
    }
    facts |= {name: generator_facts(generator_model(study, name)) for name in study.generators}
    vqgan = study.vqgan.model if study.vqgan else VQGANModel()
    return facts | {"vqgan": tokenizer_facts(vqgan, study.dataset.image_size)}


def facts(options: argparse.Namespace) -> None:
    """Writes what was measured on the full-size models."""
    write_json(options.output, full_size_facts())


def claims(options: argparse.Namespace) -> None:
    """Judges every claim; prints the ledger, or writes it."""
    study = load_study(options.study) if options.study else None
    evidence = Evidence(
        paper=read_paper(options.paper),
        models=read_json(options.facts) if options.facts else full_size_facts(),
        scores=read_scores(options.scores) if options.scores else no_scores(),
        reporting=study.reporting if study else None,
        scope=f"imagenet{study.dataset.image_size}" if study and study.dataset.kind == "imagenet" else None,
    )
    findings = judge_claims(load_claims(options.claims), evidence)
    if options.output is not None:
        write_claims(findings, options.output)
    else:
        print(claims_markdown(findings))
