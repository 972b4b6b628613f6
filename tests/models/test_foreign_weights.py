"""Weights as people have them: wrapped, in several parts, under another name; read, or refused in a sentence.

Run: pytest tests/models/test_foreign_weights.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from models.toy_releases import toy_sizes, write_release  # noqa: F401 - a fixture
from safetensors.torch import save_file
from torch import nn

import titok
from titok.models.released import to_released
from titok.runtime.files import FileError
from titok.runtime.weight_names import shared_beginning, unwrapped
from titok.runtime.weights import WeightsError, files_of, load_state, read_weights, weights_file

pytestmark = pytest.mark.usefixtures("toy_sizes")
BEGINNINGS = ["module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "module.module."]


@pytest.mark.parametrize("beginning", BEGINNINGS)
@pytest.mark.parametrize("name", ["two_stage", "vit", "vqgan"])
def test_what_wrappers_put_before_names_is_taken_away_with_a_word(
    tmp_path: Path, beginning: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    state = write_release(tmp_path, name)
    save_file({beginning + key: tensor for key, tensor in state.items()}, tmp_path / "model.safetensors")
    found = to_released(titok.load(tmp_path))
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)
    assert "its names are of a wrapped model; read without" in capsys.readouterr().err


def test_the_wrappers_of_torch_are_known(tmp_path: Path) -> None:
    inner = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    wrapped = {
        "parallel": nn.DataParallel(inner),
        "compiled": torch.compile(inner),
        "compiled parts": nn.Sequential(torch.compile(inner[0]), inner[1]),
        "average": torch.optim.swa_utils.AveragedModel(inner),
    }
    for name, model in wrapped.items():
        torch.save(model.state_dict(), tmp_path / "m.pt")
        state, _ = read_weights(tmp_path / "m.pt")
        assert state.keys() == inner.state_dict().keys(), name


def test_names_that_may_be_the_models_own_stay(capsys: pytest.CaptureFixture[str]) -> None:
    for names in ("module.a b", "a.module.b c", "a b", "_orig_mod.a a"):
        state = dict.fromkeys(names.split(), 1)
        assert unwrapped(state) == (state, "")
    assert capsys.readouterr().err == ""


def test_other_beginnings_are_named(tmp_path: Path) -> None:
    state = write_release(tmp_path / "m", "vit")
    save_file({f"net.model.{key}": tensor for key, tensor in state.items()}, tmp_path / "m" / "model.safetensors")
    with pytest.raises(WeightsError, match=r"all beginning with 'net\.model\."):
        titok.load(tmp_path / "m")
    model = nn.Linear(2, 2)
    with pytest.raises(WeightsError, match=r"all its names begin with 'ema\.'"):
        load_state(model, {f"ema.{key}": tensor for key, tensor in model.state_dict().items()}, "here")
    assert shared_beginning(["a.b", "a.c", "ab.c"]) == ""
    assert shared_beginning(["a.b.c", "a.b.d"]) == "a.b."


def in_parts(folder: Path, name: str, ending: str) -> dict[str, torch.Tensor]:
    """A release whose weights lie in three parts, as libraries of large models save them."""
    state = write_release(folder, name)
    (folder / "model.safetensors").unlink()
    stem = "model" if ending == "safetensors" else "pytorch_model"
    places = {key: f"{stem}-{number % 3 + 1:05d}-of-00003.{ending}" for number, key in enumerate(sorted(state))}
    for part in set(places.values()):
        tensors = {key: state[key] for key, place in places.items() if place == part}
        save = save_file if ending == "safetensors" else torch.save
        save(tensors, folder / part)
    (folder / f"{stem}.{ending}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return state


def test_quantised_weights_are_no_small_numbers() -> None:
    """Whole numbers from -128 to 127 would be taken for weights of that size."""
    layer = torch.nn.Linear(2, 2)
    quantised = {key: (value * 100).to(torch.int8) for key, value in layer.state_dict().items()}
    with pytest.raises(WeightsError, match=r"2 of whole numbers \(quantised\? save them as floats\): bias torch\.int8"):
        load_state(layer, quantised, "w")
    load_state(layer, {key: value.to(torch.float8_e4m3fn) for key, value in layer.state_dict().items()}, "w")


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_weights_in_several_parts_are_read(tmp_path: Path, ending: str) -> None:
    state = in_parts(tmp_path, "two_stage", ending)
    index = weights_file(tmp_path)
    for source in (tmp_path, index):
        found = to_released(titok.load(source))
        assert all(torch.equal(found[key], state[key]) for key in state)
    assert len(files_of(index)) == 4


def test_parts_that_are_missing_or_others_are_named(tmp_path: Path) -> None:
    in_parts(tmp_path, "two_stage", "safetensors")
    part = tmp_path / "model-00002-of-00003.safetensors"
    content = part.read_bytes()
    part.unlink()
    with pytest.raises(FileError, match=r"1 of its 3 parts are not beside it \(model-00002-of-00003"):
        titok.load(tmp_path)
    save_file({"other": torch.ones(1)}, part)
    with pytest.raises(WeightsError, match=r"does not fit its parts: .* in none of them"):
        titok.load(tmp_path)
    part.write_bytes(content[:100])
    with pytest.raises(FileError, match="is no readable safetensors file"):
        titok.load(tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"a": "../../secret.safetensors"}}')
    with pytest.raises(WeightsError, match="parts lie beside their list"):
        titok.load(tmp_path)
    index.write_text("{}")
    with pytest.raises(WeightsError, match="has no weight_map"):
        titok.load(tmp_path)


def test_a_folder_of_other_names_says_which(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "ema.safetensors")
    with pytest.raises(FileError, match=r"has no model.safetensors, but ema\.safetensors; name the file"):
        titok.load(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "notes.txt", "page.bin"])
def test_what_is_no_file_of_weights(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"a": 1}')
    with pytest.raises(WeightsError, match="is no file of weights, it begins with") as caught:
        titok.load(tmp_path / name)
    assert "weights_only" not in str(caught.value)
