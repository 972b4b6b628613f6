"""`titok doctor`: passes on a whole installation, and notices each thing that it looks at when that is wrong.

Run: pytest tests/commands/test_doctor.py
"""

from __future__ import annotations

import json
import zlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest
import torch
from golden.rule import HERE, load_golden
from models.toy_releases import generator_config, toy_sizes, write_release  # noqa: F401 - a fixture
from PIL import Image

from titok.cli import main
from titok.commands import doctor, doctor_numbers
from titok.commands.doctor_numbers import (
    DATA,
    check_generator,
    check_published_image,
    check_quantizer,
    check_tokenizer,
    check_weights,
    facts,
)
from titok.models.image_tokenizer import Ids
from titok.models.transformer import Block, PostNormBlock
from titok.runtime.files import load_npz

CPU = torch.device("cpu")


def test_this_installation_is_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--device", "cpu"])
    shown = capsys.readouterr().out
    assert "This installation is in order" in shown
    assert "uvit generator: sampling" in shown


@pytest.mark.parametrize(
    ("cuda", "driver", "gpus", "device", "status", "said"),
    [
        ("13.2", "580.65.06", 2, "auto", "ok", "580.65.06, CUDA 13.2, 2 GPU(s)"),
        ("13.2", None, 0, "auto", "ok", "none, so there is no GPU"),
        ("13.2", "535.183.01", 0, "auto", "fail", "the driver is 535.183.01, but CUDA 13.2 of this torch needs 580"),
        ("13.2", "535.183.01", 0, "cpu", "warn", "the driver is 535.183.01, but CUDA 13.2 of this torch needs 580"),
        (None, "580.65.06", 0, "auto", "fail", "this torch was built without CUDA"),
    ],
)
def test_the_driver_beside_the_wheel(
    cuda: str | None, driver: str | None, gpus: int, device: str, status: str, said: str
) -> None:
    finding = doctor_numbers.check_driver(cuda, driver, gpus, device)
    assert finding.status == status
    assert said in finding.detail


def test_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_numbers, "check_generator", lambda kind, device: [])
    with pytest.raises(SystemExit) as caught:
        main(["doctor", "--device", "cpu", "--json", "--image", "a.png"])
    assert caught.value.code == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert [finding["detail"] for finding in document["findings"] if finding["status"] == "fail"] == [
        "--image needs --weights, the folder or file of TiTok-L-32"
    ]


def test_its_numbers_are_the_golden_ones() -> None:
    """The package's copy and the tests' arrays must not drift apart."""
    arrays = load_npz(DATA)
    assert DATA.stat().st_size < 200_000
    for kind in ("vit", "uvit"):
        golden = load_golden(f"generator_{kind}_tiny")
        for key in ("input_ids", "condition"):
            np.testing.assert_array_equal(arrays.pop(f"{kind}/{key}"), golden.inputs[key])
        for key, name in (
            ("logits_cond", "logits_cond"),
            ("logits_uncond", "logits_uncond"),
            ("ids_per_step", "sto_linear_anneal/ids_per_step"),
        ):
            np.testing.assert_array_equal(arrays.pop(f"{kind}/{key}"), golden.outputs[name])
        settings, run = facts()["generators"][kind], golden.extra["generate_runs"]["sto_linear_anneal"]
        assert (settings["noise_seed"], settings["labels"]) == (run["noise_seed"], run["labels"])
        assert settings["multipliers"] == golden.multipliers
        released = generator_config(f"generator_{kind}_tiny")["model"]
        assert settings["config"]["model"]["generator"] == released["generator"]
    quantizer = load_golden("quantizer")
    for case in ("l2", "nol2"):
        for key in ("codebook", "z"):
            np.testing.assert_array_equal(arrays.pop(f"quantizer/{case}/{key}"), quantizer.inputs[f"{case}/{key}"])
        found = arrays.pop(f"quantizer/{case}/indices")
        np.testing.assert_array_equal(found, quantizer.outputs[f"{case}/indices"])
    s128 = load_golden("tokenizer_titok_s128")
    np.testing.assert_array_equal(arrays.pop("s128/ids"), s128.outputs["ids"][:2, 0])
    released = json.loads((HERE / "tokenizer_titok_s128/config.json").read_text())
    assert facts()["s128"]["config"] == {key: released[key] for key in ("model", "dataset")}
    assert not arrays


@pytest.mark.parametrize(("kind", "block"), [("vit", PostNormBlock), ("uvit", Block)])
def test_wrong_arithmetic_is_noticed(kind: str, block: type[torch.nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    forward = block.forward
    monkeypatch.setattr(block, "forward", lambda self, *given: 1.01 * forward(self, *given))
    logits, sampling = check_generator(kind, CPU)
    assert logits.status == "fail"
    assert sampling.check == f"{kind} generator: sampling"


def test_a_wrong_quantizer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_numbers.VectorQuantizer, "_distances", lambda self, z: -z @ self.embedding.weight.t())
    assert check_quantizer("nol2", CPU).status == "fail"


@pytest.mark.usefixtures("toy_sizes")
def test_a_toy_in_the_place_of_s128_is_noticed() -> None:
    finding = check_tokenizer(CPU)
    assert finding.status == "fail"
    assert finding.detail.endswith(" ids differ")


@pytest.mark.long
def test_the_tokenizer_of_official_size() -> None:
    assert check_tokenizer(CPU).status == "ok"


def test_missing_packages_end_the_examination(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = doctor.Finding("packages", "fail", "torch is missing")
    monkeypatch.setattr(doctor, "check_packages", lambda: missing)
    with pytest.raises(SystemExit) as caught:
        main(["doctor"])
    assert caught.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line[:4] for line in lines[:4]] == ["ok  ", "ok  ", "fail", "fail"]
    assert lines[-1] == "2 of 4 checks failed"


def test_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(name: str) -> str:
        if name == "tqdm":
            raise PackageNotFoundError(name)
        return "0.1" if name == "pillow" else version(name)

    finding = doctor.check_packages(installed=installed)
    assert finding.status == "fail"
    assert "pillow is 0.1, >=11 needed" in finding.detail
    assert "tqdm is missing" in finding.detail
    assert "pytest" not in finding.detail
    assert doctor.check_packages("no-such-distribution").status == "fail"


def test_the_lock_is_advice(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    assert doctor.check_lock(lock).status == "warn"
    lock.write_text("tqdm==0.0.1 \\\n    --hash=sha256:0\nabsl-py==0.0.1 \\\n    --hash=sha256:0\n")
    finding = doctor.check_lock(lock)
    assert finding.status == "warn"
    assert finding.detail == f"not the tested versions: tqdm {version('tqdm')} instead of 0.0.1"
    lock.write_text(f"tqdm=={version('tqdm')} \\\n    --hash=sha256:0\n")
    assert doctor.check_lock(lock).status == "ok"


class Tokenizer(torch.nn.Module):
    """Plays TiTok-L-32: gives the published tokens, the first few of them wrong."""

    def __init__(self, wrong: int, tokens: list[int]) -> None:
        super().__init__()
        self.tokens = torch.tensor([tokens])
        self.tokens[:, :wrong] += 1

    def tokenize(self, images: torch.Tensor) -> Ids:
        assert images.shape == (1, 3, 256, 256)
        return Ids(self.tokens)


@pytest.mark.parametrize(("wrong", "status"), [(0, "ok"), (1, "warn"), (4, "warn"), (5, "fail"), (32, "fail")])
def test_published_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: int, status: str) -> None:
    image = Image.new("RGB", (256, 256), (9, 8, 7))
    image.save(tmp_path / "photo.png")
    entry = facts()["published_l32"][0] | {"rgb_crc32": zlib.crc32(image.tobytes())}
    monkeypatch.setattr(doctor_numbers, "facts", lambda: {"published_l32": [entry]})
    finding = check_published_image(Tokenizer(wrong, entry["token_ids"]), tmp_path / "photo.png", CPU)
    assert finding.status == status
    assert finding.check.endswith("ILSVRC2012_val_00008636.png")


def test_another_photo_is_no_evidence(tmp_path: Path) -> None:
    Image.new("RGB", (256, 256)).save(tmp_path / "photo.png")
    finding = check_published_image(Tokenizer(0, [1]), tmp_path / "photo.png", CPU)
    assert finding.status == "fail"
    assert "ILSVRC2012_val_00008636.png" in finding.detail
    (tmp_path / "photo.png").write_bytes(b"")
    finding = check_published_image(Tokenizer(0, [1]), tmp_path / "photo.png", CPU)
    assert (finding.status, "no readable image" in finding.detail) == ("fail", True)


@pytest.mark.usefixtures("toy_sizes")
def test_weights_of_another_model(tmp_path: Path) -> None:
    write_release(tmp_path, "two_stage")
    (finding,) = check_weights(str(tmp_path), None, [], CPU)
    assert (finding.status, finding.detail) == (
        "fail",
        f"{tmp_path} is no TiTok-L-32, which the published tokens are from",
    )
    (tmp_path / "model.safetensors").write_bytes(b"")
    (finding,) = check_weights(str(tmp_path), None, [], CPU)
    assert "no readable safetensors" in finding.detail
    (tmp_path / "config.json").write_text("[]")
    (finding,) = check_weights(str(tmp_path), None, [], CPU)
    assert (finding.status, "holds list" in finding.detail) == ("fail", True)
