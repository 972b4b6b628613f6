"""What `probe.readings` asks for is there to be read, of every tokenizer whose probe is shown; said before any work.

Run: pytest tests/config/test_probed.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from config.studies import SHIPPED, changed, study_of, tiny_document

from titok.config.load import load_study
from titok.config.model import ClassifierModel, TokenizerModel, TransformerSize, VQGANModel
from titok.config.probed import probed_tokenizers, what_can_be_read
from titok.config.soft_tokens import FrozenEncoder, SoftModel
from titok.config.targets import Targets
from titok.models.soft_tokenizer import SoftTokenizer
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN

ROWS = {
    "s1": {"label": "ids", "tokenizer": "s1", "stage": "stage1"},
    "v2": {"label": "VAE", "tokenizer": "v2", "stage": "single_stage"},
    "frozen": {"label": "classifier", "tokenizer": "frozen", "stage": "soft_decoder"},
    "vqgan": {"label": "VQGAN", "tokenizer": "vqgan"},
    "b2d": {"label": "2D", "tokenizer": "b2d", "stage": "vqgan_2d"},
    "theirs": {"label": "another program", "tokenizer": "theirs", "stage": "external"},
}
WIDTH, CODES = ({"of": of, "pooling": "mean"} for of in ("width", "codes"))


def study_with(*readings: dict[str, str]) -> dict[str, Any]:
    """The small study with tokenizers of all kinds."""
    document = changed(tiny_document(), "probe.readings", list(readings))
    single = document["tokenizers"]["b2-single"]
    vae = {key: value for key, value in single.items() if key != "codebook_size"} | {"kind": "vae"}
    document = changed(document, "tokenizers.v2", vae)
    losses = {"perceptual": {"kind": "none"}, "adversarial": {"weight": 0.0}}
    training = {"steps": 3, "schedule": {"warmup_steps": 1}}
    frozen = {
        "own_encoder": "critic",
        "decoder": "s",
        "patch_size": 4,
        "seeds": [0],
        "training": training,
        "losses": losses,
    }
    document = changed(document, "soft_tokenizers.frozen", frozen)
    theirs = {"reconstructions": "made", "bits_per_image": 9, "source": "a command", "licence": "MIT"}
    return changed(document, "external.theirs", theirs)


def probing(document: dict[str, Any], *names: str) -> dict[str, Any]:
    """With a table that shows these tokenizers' probes."""
    table = {"linear_probe": True, "costs": False, "rows": [ROWS[name] for name in names]}
    return changed(document, "reporting.tables.token_kinds", table)


@pytest.mark.parametrize(
    ("name", "reading", "allowed"),
    [
        ("v2", CODES, "bottleneck, width"),
        ("frozen", CODES, "bottleneck, width"),
        ("vqgan", CODES, "bottleneck"),
        ("b2d", WIDTH, "bottleneck"),
    ],
)
def test_what_a_tokenizer_has_not_is_refused_where_its_probe_is_shown(
    name: str, reading: dict[str, str], allowed: str
) -> None:
    document = study_with(reading)
    study_of(document)
    study_of(probing(document, "s1"))
    with pytest.raises(ValueError, match=rf"probe.readings has of: {reading['of']}, which tokenizer '{name}'") as error:
        study_of(probing(document, "s1", name))
    assert f"probed by reporting.tables.token_kinds, has not; allowed for it: {allowed}; remove" in str(error.value)
    study_of(changed(probing(document, "s1", name), "reporting.tables.token_kinds.linear_probe", False))


def test_what_it_has_is_probed() -> None:
    study = study_of(probing(study_with(WIDTH), "s1", "v2", "frozen", "theirs"))
    assert probed_tokenizers(study) == {
        **dict.fromkeys(("s1", "s2"), "reporting.tables.table4"),
        **dict.fromkeys(("v2", "frozen"), "reporting.tables.token_kinds"),
    }
    scores = [path for path in Targets(study).all_scores() if "/probe/" in path]
    seeds = (("s1", 0), ("s1", 1), ("s2", 0), ("v2", 0), ("frozen", 0))
    assert scores == [f"results/tiny/scores/probe/{name}/seed{seed}.json" for name, seed in seeds]


def test_a_figure_that_probes_another_programs_row_is_refused() -> None:
    figure = {"hard": [ROWS["s1"], ROWS["theirs"]], "probed": [ROWS["s1"]]}
    document = changed(study_with(), "reporting.figures.hard_and_soft", figure)
    study_of(document)
    with pytest.raises(
        ValueError, match=r"reporting.figures.hard_and_soft probes 'theirs', .* no encoder of it is here"
    ):
        study_of(changed(document, "reporting.figures.hard_and_soft.probed", [ROWS["theirs"]]))


def test_settings_say_what_models_have() -> None:
    study, size = study_of(study_with()), TransformerSize(width=16, depth=1, num_heads=2)
    shape = {"image_size": 16, "patch_size": 4, "num_latent_tokens": 2, "codebook_size": 8, "code_dim": 4}
    common = {"encoder": size, "decoder": size, "head": "pixels", **shape}
    encoder = FrozenEncoder(classifier=ClassifierModel(channels=(4, 8)), image_size=16)
    models = {
        "b2-single": TiTok(TokenizerModel.model_validate(common)),
        "v2": TiTok(TokenizerModel.model_validate({**common, "kind": "vae"})),
        "frozen": SoftTokenizer(SoftModel(encoder=encoder, num_latent_tokens=4, patch_size=4, decoder=size)),
        "vqgan": VQGAN(VQGANModel(channels=8, channel_multipliers=(1, 1, 1), norm_groups=4)),
    }
    assert {name: frozenset(what_can_be_read(study, name)) for name in models} == {
        name: model.readable for name, model in models.items()
    }


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_studies_read_what_is_there(path: Path) -> None:
    study = load_study(path)
    asked = {reading.of for reading in (study.probe.first, *study.probe.readings)}
    assert all(asked <= set(what_can_be_read(study, name)) for name in probed_tokenizers(study))
