"""Weight files from strangers: code is never run, damage and nonsense are told in one clear line.

Run: pytest tests/runtime/test_hostile_weights.py
"""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from titok.runtime.files import FileError
from titok.runtime.weights import WeightsError, load_model, load_state, read_weights


class Payload:
    """Unpickles by making a folder: what an attacker would replace by something worse."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("form", ["pickle", "torch", "torch_legacy"])
def test_a_pickle_that_would_run_code_does_not(tmp_path: Path, form: str) -> None:
    victim, file = tmp_path / "victim", tmp_path / "pytorch_model.bin"
    content = {"weight": torch.ones(2), "extra": Payload(victim)}
    if form == "pickle":
        file.write_bytes(pickle.dumps({"extra": Payload(victim)}, protocol=2))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=form == "torch")
    with pytest.raises(WeightsError, match=r"is refused: .*\. A file of weights never needs that") as caught:
        read_weights(file)
    assert not victim.exists()
    assert "\n" not in str(caught.value)
    if form == "torch":
        assert "would call posix.mkdir" in str(caught.value)


@pytest.mark.parametrize(
    "header",
    [
        b"\xff" * 8 + b"{}",
        struct.pack("<Q", 10**12) + b"{}",
        struct.pack("<Q", 9) + b"not JSON!" + b"\0" * 16,
        b"PK\x03\x04 a zip",
        b"",
    ],
    ids=["overflow", "huge", "no JSON", "another format", "empty"],
)
def test_a_safetensors_file_with_a_wrong_header(tmp_path: Path, header: bytes) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(header)
    with pytest.raises(FileError, match=r"model\.safetensors .* is no readable safetensors file") as caught:
        read_weights(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [4], "data_offsets": [0, 16000]},
        {"dtype": "F99", "shape": [4], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]},
    ],
    ids=["too short", "beyond the end", "unknown type", "negative"],
)
def test_a_safetensors_file_that_lies_about_its_tensors(tmp_path: Path, entry: dict[str, Any]) -> None:
    header = json.dumps({"a": entry}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 16)
    with pytest.raises(FileError, match="is no readable safetensors file"):
        read_weights(tmp_path / "model.safetensors")


def test_a_pickle_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.ones(1000)}, file)
    for length in (0, 10, 300, file.stat().st_size - 50):
        (tmp_path / "cut.bin").write_bytes(file.read_bytes()[:length])
        with pytest.raises((FileError, WeightsError), match=r"cut\.bin") as caught:
            read_weights(tmp_path / "cut.bin")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(1)], "holds list, expected tensors by name"),
        (
            {"state_dict": {"a": torch.ones(1)}, "epoch": 3},
            "2 without a tensor: epoch, state_dict",
        ),
    ],
)
def test_a_pickle_of_something_else(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "m.bin")
    with pytest.raises(WeightsError, match=message):
        read_weights(tmp_path / "m.bin")


def test_numbers_that_are_none(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 2)
    before = model.weight.clone()
    with pytest.raises(WeightsError, match="2 with NaN or infinity: bias, weight"):
        load_state(model, {"weight": torch.full((2, 2), torch.nan), "bias": torch.tensor([1.0, torch.inf])}, "here")
    assert torch.equal(model.weight, before)


def test_a_config_that_is_no_mapping(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(WeightsError, match="holds list"):
        load_model(tmp_path)


def test_a_model_on_the_meta_device_gets_the_weights(tmp_path: Path) -> None:
    with torch.device("meta"):
        model = torch.nn.Linear(2, 3)
    weights = {"weight": torch.randn(3, 2, dtype=torch.float64), "bias": torch.zeros(3)}
    load_state(model, weights, "here")
    torch.testing.assert_close(model.weight.detach(), weights["weight"].float(), rtol=0, atol=0)
    assert model.weight.dtype == torch.float32
