"""Trainings that begin at given weights: what is taken, what is new, and what is refused.

Run: pytest tests/commands/test_start_from.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from commands.workbench import Workbench, record

import titok
from titok.models.folder import load_tokenizer
from titok.runtime.files import sha256_file
from titok.training.start_from import begin_from


def trained(bench: Workbench, folder: Path, start: dict[str, Any], **training: Any) -> Path:
    """A single-stage training of one step that hardly moves, by the workbench's settings but for these."""
    document = yaml.safe_load(bench.config("single_stage", "one").read_text())
    still = {"steps": 1, "ema_decay": None, "optimizer": {"learning_rate": 1e-12}, "schedule": {"warmup_steps": 0}}
    document["training"] |= still | {"start_from": start} | training
    folder.mkdir(exist_ok=True)
    config, model = folder / "config.yaml", folder / "model" / "model.safetensors"
    config.write_text(yaml.safe_dump(document))
    options = {"data": bench.train_data, "critic": bench.model("critic"), "device": "cpu", "seed": 7}
    bench.run("train", "single_stage", config=config, output=model, state=folder / "state", **options)
    return model


def test_all_weights_are_those_of_the_file_and_the_manifest_says_so(
    bench: Workbench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = bench.model("one")
    made = trained(bench, tmp_path, {"weights": str(source)})
    before, after = (load_tokenizer(path).state_dict() for path in (source, made))
    for name in before:
        torch.testing.assert_close(after[name], before[name], atol=1e-9, rtol=0, msg=name)
    manifest = record(made.with_name("manifest.json"))
    assert manifest["start"]["new"] == {}
    assert manifest["start"]["taken"]["encoder"] == sum(
        value.numel() for name, value in before.items() if name.startswith("encoder.")
    )
    assert manifest["provenance"]["inputs"]["start_from"]["sha256"] == sha256_file(source)
    assert f"begins at {source}: " in capsys.readouterr().err


def test_a_folder_in_any_layout_will_do_and_parts_may_begin_anew(bench: Workbench, tmp_path: Path) -> None:
    model = titok.load(bench.model("one").parent)
    titok.save(model, tmp_path / "own", layout="own")
    made = trained(bench, tmp_path, {"weights": str(tmp_path / "own"), "leave_out": ["decoder"]})
    before, after = model.state_dict(), load_tokenizer(made).state_dict()
    same = {name for name in before if torch.allclose(after[name], before[name], atol=1e-9, rtol=0)}
    assert {name.split(".")[0] for name in same} >= {"encoder", "latent_tokens", "quantize"}
    assert any(name.startswith("decoder.") for name in before.keys() - same)
    start = record(made.with_name("manifest.json"))["start"]
    assert start["new"].keys() == {"decoder"}


def test_a_codebook_that_is_taken_is_not_drawn_from_the_data_again(bench: Workbench, tmp_path: Path) -> None:
    """`codebook_init: data` draws at the first step, of codebooks that begin anew alone."""
    source = bench.model("one")
    codes = load_tokenizer(source).quantize.embedding.weight
    kept = load_tokenizer(
        trained(bench, tmp_path / "a" if (tmp_path / "a").mkdir() is None else tmp_path, {"weights": str(source)})
    )
    torch.testing.assert_close(kept.quantize.embedding.weight, codes, atol=1e-9, rtol=0)
    (tmp_path / "b").mkdir()
    drawn = load_tokenizer(trained(bench, tmp_path / "b", {"weights": str(source), "leave_out": ["quantize"]}))
    assert not torch.allclose(drawn.quantize.embedding.weight, codes)


def refusal(bench: Workbench, folder: Path, start: dict[str, Any]) -> str:
    with pytest.raises(SystemExit) as caught:
        trained(bench, folder, start)
    assert not (folder / "model").exists()
    return str(caught.value.code)


def test_what_does_not_fit_is_named_before_anything_is_trained(bench: Workbench, tmp_path: Path) -> None:
    other = str(bench.model("stage1"))
    said = refusal(bench, tmp_path, {"weights": other})
    assert "does not fit this model: " in said
    assert "start_from.leave_out" in said
    said = refusal(bench, tmp_path, {"weights": str(bench.model("one")), "leave_out": ["head"]})
    assert (
        "leave_out names head, which this model has not; its parts: decoder, encoder, latent_tokens, quantize" in said
    )
    said = refusal(bench, tmp_path, {"weights": str(bench.model("one")), "sha256": "0" * 64})
    assert "000000" in said
    assert "nowhere" in refusal(bench, tmp_path, {"weights": str(tmp_path / "nowhere" / "model.safetensors")})


def test_numbers_that_are_none_are_refused_and_nothing_is_changed() -> None:
    model = torch.nn.Linear(2, 2)
    before = model.weight.clone()
    given = {"weight": torch.tensor([[1.0, torch.nan], [0, 0]]), "bias": torch.zeros(2)}
    with pytest.raises(titok.runtime.weights.WeightsError, match="not finite, in weight"):
        begin_from(model, given, (), "w")
    assert torch.equal(model.weight, before)
