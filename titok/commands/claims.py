"""``titok facts | claims``: what the paper says, held against models, scores and its own numbers."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from titok.config.claims import load_ledger
from titok.config.load import load_study
from titok.config.shipped import shipped
from titok.errors import OptionError
from titok.reporting.claims import judge_claims, no_scores, write_claims
from titok.reporting.claims_text import claims_markdown
from titok.reporting.collect import read_scores
from titok.reporting.copies import copies_said
from titok.reporting.evidence import Evidence
from titok.reporting.graders import FORMS
from titok.reporting.paper import read_paper
from titok.runtime.files import read_json, write_json, write_text

if TYPE_CHECKING:
    from titok.config.study import Study

ENDINGS = {"mlrc": ".md"}
"""Of forms that are no JSON."""
RELEASED, LARGER, ADAPTIVE = "config/published.yaml", "config/imagenet512.yaml", "config/imagenet100.yaml"
"""Where the published sizes are written down: of released models, for 512 pixels (not released), of adaptive length."""
IMAGES_OF_100 = (126_689, 5_000, 100)
"""Training and validation images and classes of the ImageNet-100 that adaptive length is published on."""


def full_size_facts(
    released: str | Path = RELEASED, larger: str | Path = LARGER, adaptive: str | Path = ADAPTIVE
) -> dict[str, dict[str, float]]:
    """Measured on every full-size model of the first two studies, and on each of a recipe of its own of the third.

    Names of the larger one's tokenizers end in ``-512``.
    """
    from titok.config.model import VQGANModel
    from titok.config.study_models import generator_model, model_settings, tokenizer_model
    from titok.models.facts import generator_facts, tokenizer_facts

    study, larger_study, third = (load_study(shipped(path)) for path in (released, larger, adaptive))
    facts = {
        name + suffix: tokenizer_facts(tokenizer_model(some, name, entry.stages[-1]), some.dataset.image_size)
        for some, suffix in ((study, ""), (larger_study, f"-{larger_study.dataset.image_size}"))
        for name, entry in some.tokenizers.items()
    }
    facts |= {
        name: tokenizer_facts(model_settings(third, name, entry.stages[-1]), third.dataset.image_size)
        for name, entry in third.tokenizers.items()
        if entry.own is not None
    }
    facts |= {name: generator_facts(generator_model(study, name)) for name in study.generators}
    vqgan = study.vqgan.model if study.vqgan else VQGANModel()
    return facts | {"vqgan": tokenizer_facts(vqgan, study.dataset.image_size)}


def facts(options: argparse.Namespace) -> None:
    """Writes what was measured on the full-size models."""
    write_json(options.output, full_size_facts())


def scope_of(study: Study) -> str | None:
    """Whose absolute numbers a study's may stand beside; ImageNet may also lie in folders or tables of images."""
    dataset = study.dataset
    images = dataset.images
    counted = (images.train, images.test, dataset.num_classes) if images else None
    if counted == IMAGES_OF_100:
        return "imagenet100"
    is_whole = dataset.imagenet is not None and dataset.imagenet.classes is None
    return f"imagenet{dataset.image_size}" if is_whole or counted == (1_281_167, 50_000, 1000) else None


def claims(options: argparse.Namespace) -> None:
    """Judges every claim; prints the ledger, or writes it, in the form asked for.

    Raises:
        OptionError: the output's ending is not that of the form.
    """
    if options.output is not None and options.output.suffix != (ending := ENDINGS.get(options.format, ".json")):
        raise OptionError(f"--output is {options.output}, but --format {options.format} needs the ending {ending}")
    study = load_study(options.study) if options.study else None
    evidence = Evidence(
        paper=read_paper(options.paper),
        models=_read_facts(options.facts) if options.facts else full_size_facts(),
        scores=read_scores(options.scores) if options.scores else no_scores(),
        reporting=study.reporting if study else None,
        scope=scope_of(study) if study else None,
    )
    if said := copies_said(evidence.scores.copies):
        print(said, file=sys.stderr)
    ledger = load_ledger(options.claims)
    findings = judge_claims(ledger.claims, evidence)
    if options.format != "ledger":
        _hand_over(FORMS[options.format](findings, ledger.account), options.output)
    elif options.output is not None:
        write_claims(findings, options.output)
    else:
        print(claims_markdown(findings))


def _read_facts(path: Path) -> dict[str, dict[str, float]]:
    """What `facts` wrote; raises `OptionError` for another file, by which every model would be unknown."""
    found = read_json(path)
    if not isinstance(found, dict) or "bits_per_image" not in dict(found.get("vqgan") or {}):
        raise OptionError(f"--facts is {path}, which `titok facts` did not write; write it with `titok facts`")
    return found


def _hand_over(content: dict[str, Any] | str, output: Path | None) -> None:
    """Text or data, to a file or the screen."""
    if output is None:
        print(content if isinstance(content, str) else json.dumps(content, indent=2))
    elif isinstance(content, str):
        write_text(output, content)
    else:
        write_json(output, content)
