"""config/published.yaml names the released models as they are: sizes, layouts, samplers, places in sources.yaml.

Run: pytest tests/config/test_published.py
"""

from __future__ import annotations

import pytest
import torch
from config.studies import ROOT

from titok.commands.adopt import differences, relevant
from titok.config.load import load_study
from titok.config.sampling import PUBLISHED_SAMPLERS
from titok.config.sources import load_sources
from titok.config.study_models import generator_model, tokenizer_model
from titok.models.generator import build_generator
from titok.models.published import config_from_published, config_to_published
from titok.models.tokenizer import TiTok

STUDY = load_study(ROOT / "config" / "published.yaml")

# Parameters of the released checkpoints (specification 1.1), CVQ's running usage counted as the checkpoints hold it.
TOKENIZERS = {
    "l-32": 641_054_735,
    "b-64": 204_814_095,
    "s-128": 83_674_639,
    "bl-64-vq8k": 390_016_148,
    "bl-128-vq8k": 390_179_988,
    "sl-256-vq8k": 330_260_884,
    "ll-32-vae": 606_879_604,
    "bl-64-vae": 389_418_100,
    "bl-128-vae": 389_581_940,
}
GENERATORS = {"l-32-vit": 177_202_432, "b-64-vit": 177_227_008, "s-128-uvit": 294_990_848}


def test_every_released_model_is_measured() -> None:
    named = {entry.source for entry in (*STUDY.tokenizers.values(), *STUDY.generators.values(), STUDY.vqgan) if entry}
    assert named == set(load_sources().models)
    assert set(STUDY.tokenizers) == set(TOKENIZERS)
    shown = {row.tokenizer for name in STUDY.reporting.tables.names for row in STUDY.reporting.tables.rows(name)}
    assert shown - {None} == {*TOKENIZERS, "vqgan"}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokenizers_have_the_released_sizes(name: str) -> None:
    settings = tokenizer_model(STUDY, name, "released")
    with torch.device("meta"):
        model = TiTok(settings)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert parameters == TOKENIZERS[name]
    released = config_from_published(config_to_published(settings))
    assert not differences(relevant(settings.resolved()), relevant(released.resolved()))


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_have_the_released_sizes(name: str) -> None:
    with torch.device("meta"):
        model = build_generator(generator_model(STUDY, name))
    assert sum(parameter.numel() for parameter in model.parameters()) == GENERATORS[name]


@pytest.mark.parametrize("name", ["l-32", "b-64", "s-128"])
def test_samplers_are_the_published_records(name: str) -> None:
    assert STUDY.samplers[name] == PUBLISHED_SAMPLERS[f"titok-{name}"]
