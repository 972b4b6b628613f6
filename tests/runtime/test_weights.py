"""Model folders: exact round trips, pairs that belong together, and errors that name the keys."""

from __future__ import annotations

import json

import pytest
import torch

from titok.runtime.files import FileError
from titok.runtime.weights import WeightsError, load_model, load_state, save_model

CONFIG = {"kind": "linear", "section": {"width": 3}}


def network(width: int = 3, bias: bool = True) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(2, width, bias=bias), torch.nn.BatchNorm1d(width))


def test_round_trip_is_exact(tmp_path):
    state = network().state_dict() | {
        "half": torch.randn(4).half(),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "transposed": torch.arange(6.0).reshape(2, 3).T,
    }
    save_model(tmp_path / "m", state, CONFIG)
    loaded, config = load_model(tmp_path / "m")
    assert config == CONFIG
    assert loaded.keys() == state.keys()
    for key, value in state.items():
        assert torch.equal(loaded[key], value)
        assert loaded[key].dtype == value.dtype
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["config.json", "model.safetensors"]


def test_loaded_weights_survive_a_new_save(tmp_path):
    """The loaded tensors may still be mapped to the file, which a new save must therefore not write into."""
    save_model(tmp_path, {"a": torch.ones(1000)}, CONFIG)
    loaded, _ = load_model(tmp_path)
    save_model(tmp_path, {"a": torch.zeros(10)}, CONFIG)
    assert loaded["a"].sum() == 1000
    assert load_model(tmp_path)[0]["a"].sum() == 0


def test_equal_models_give_equal_bytes(tmp_path):
    state = network().state_dict()
    for name in ("a", "b"):
        save_model(tmp_path / name, state, CONFIG)
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


def test_load_state_gives_the_same_function(tmp_path):
    model, other = network(), network()
    model(torch.randn(8, 2))  # Moves the running statistics, which are buffers.
    save_model(tmp_path, model.state_dict(), CONFIG)
    load_state(other, load_model(tmp_path)[0], tmp_path)
    images = torch.randn(5, 2)
    assert torch.equal(model.eval()(images), other.eval()(images))


@pytest.mark.parametrize("length", [0, 4, 100, -1])
def test_truncated_weights_are_named(tmp_path, length):
    save_model(tmp_path, network().state_dict(), CONFIG)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(FileError, match=r"model\.safetensors \([\d,]+ bytes\) is no readable safetensors file"):
        load_model(tmp_path)


def test_corrupt_header_is_named(tmp_path):
    save_model(tmp_path, network().state_dict(), CONFIG)
    path = tmp_path / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[8:20] = b"x" * 12
    path.write_bytes(data)
    with pytest.raises(FileError, match="cut short or altered"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_missing_files_are_named(tmp_path, name):
    save_model(tmp_path, network().state_dict(), CONFIG)
    (tmp_path / name).unlink()
    with pytest.raises(FileError, match=f"{name} does not exist"):
        load_model(tmp_path)


def test_files_of_two_models_are_no_pair(tmp_path):
    save_model(tmp_path / "a", network().state_dict(), CONFIG)
    save_model(tmp_path / "b", network().state_dict(), CONFIG | {"section": {"width": 4}})
    (tmp_path / "a/config.json").write_bytes((tmp_path / "b/config.json").read_bytes())
    with pytest.raises(WeightsError, match=r"config\.json is not the one that model\.safetensors was saved with"):
        load_model(tmp_path / "a")


def test_the_layout_of_the_config_does_not_matter(tmp_path):
    save_model(tmp_path, network().state_dict(), CONFIG)
    (tmp_path / "config.json").write_text(json.dumps(dict(reversed(CONFIG.items()))))
    assert load_model(tmp_path)[1] == CONFIG


def test_weights_from_elsewhere_carry_no_sum(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.ones(2)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    assert load_model(tmp_path)[0]["a"].tolist() == [1, 1]


def test_all_misfits_are_listed_at_once():
    state = network(width=4).state_dict()
    del state["0.bias"]
    state["extra.weight"] = torch.zeros(1)
    model = network(width=3)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_state(model, state, "some/folder")
    text = str(caught.value)
    assert "weights of some/folder do not fit Sequential: 1 missing: 0.bias; 1 unexpected: extra.weight; " in text
    assert "5 of another shape: 0.weight (4, 2) instead of (3, 2), 1.bias (4,) instead of (3,)" in text
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_long_lists_are_cut():
    state = {f"layer{number:02d}": torch.zeros(1) for number in range(30)}
    with pytest.raises(WeightsError, match=r"30 unexpected: layer00, .*layer07 and 22 more"):
        load_state(torch.nn.Identity(), state, "x")
