"""The file that is named is the file that is read, and records say so.

Run: pytest tests/commands/test_named_files.py
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from commands.workbench import Workbench, record

from titok.runtime.files import load_npz, sha256_file


def codec(bench: Workbench, tmp_path: Path, data: Path) -> dict[str, Any]:
    output = tmp_path / f"{data.name}.json"
    shared = {"config": bench.config("score"), "judge": bench.model("judge"), "output": output}
    bench.run("score", "codec", codec="jpeg", quality=50, data=data, **shared)
    return record(output)


def test_scores_are_of_the_split_that_is_named(bench: Workbench, tmp_path: Path) -> None:
    train, test = (codec(bench, tmp_path, path) for path in (bench.train_data, bench.test_data))
    assert train["metrics"]["psnr"]["value"] != test["metrics"]["psnr"]["value"]
    for found, path, split in ((train, bench.train_data, "train"), (test, bench.test_data, "test")):
        assert found["protocol"]["reference"]["split"] == split
        assert found["provenance"]["inputs"]["data"]["sha256"] == sha256_file(path)
    assert train["protocol_id"] != test["protocol_id"]


def test_a_renamed_split_is_read_and_called_what_it_is(bench: Workbench, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(bench.test_data.parent, folder)
    (folder / "test.index.npz").rename(folder / "mine.index.npz")
    found = codec(bench, tmp_path, folder / "mine.index.npz")
    assert found["metrics"] == codec(bench, tmp_path, bench.test_data)["metrics"]
    assert found["protocol"]["reference"]["split"] == "test"


def test_tokens_are_of_the_images_that_are_named(bench: Workbench, tmp_path: Path) -> None:
    line = {"config": bench.config("tokens"), "tokenizer": bench.model("two")}
    for path in (bench.train_data, bench.test_data):
        output = tmp_path / path.name
        bench.run("tokens", data=path, output=output, **line)
        assert len(load_npz(output)["labels"]) == len(load_npz(path)["label"])


def test_a_training_reads_what_it_is_given_and_says_so(bench: Workbench, tmp_path: Path) -> None:
    sums = set()
    for name, path in (("a", bench.train_data), ("b", bench.test_data)):
        line = {"config": bench.config("classifier", "judge"), "data": path, "seed": 0, "state": tmp_path / "state"}
        output = tmp_path / name / "model.safetensors"
        bench.run("train", "classifier", output=output, **line)
        inputs = record(output.with_name("manifest.json"))["provenance"]["inputs"]
        assert inputs["data"]["sha256"] == sha256_file(path)
        sums.add(sha256_file(output))
    assert len(sums) == 2


def test_a_probe_of_other_images_does_not_take_up_the_old_state(bench: Workbench, tmp_path: Path) -> None:
    line = {"config": bench.config("probe"), "model": bench.model("stage1"), "state": tmp_path / "state"}
    line |= {"subject": '{"tokenizer": "two", "seed": 0}', "test": bench.test_data}
    for name, path in (("a", bench.train_data), ("b", bench.test_data)):
        bench.run("score", "probe", train=path, output=tmp_path / f"{name}.json", **line)
    one, other = (record(tmp_path / f"{name}.json")["protocol"]["train"] for name in "ab")
    assert (one["split"], other["split"]) == ("train", "test")
    assert len(list((tmp_path / "state").glob("*/run.json"))) == 2


NO_INDEX = {
    "nonsense.index.npz": "has no usable index",
    "train-000000.tar": "give the index of the shards",
    "train.manifest.json": "give the index of the shards",
}


@pytest.mark.parametrize("name", NO_INDEX)
@pytest.mark.parametrize("verb", ["train", "tokens", "codec", "parity"])
def test_what_is_no_index_is_refused(bench: Workbench, tmp_path: Path, verb: str, name: str) -> None:
    data = bench.root / "data" / name
    line: dict[str, Any] = {"data": data, "output": tmp_path / "o.npz", "config": bench.config("tokens")}
    words = ["tokens"]
    if verb == "tokens":
        line |= {"tokenizer": bench.model("two")}
    elif verb == "parity":
        words, line = ["parity"], {"data": data, "output": tmp_path / "o.json"}
    elif verb == "codec":
        words, line = ["score", "codec"], {"data": data, "config": bench.config("score"), "output": tmp_path / "o.json"}
        line |= {"codec": "jpeg", "quality": 50, "judge": bench.model("judge")}
    else:
        words = ["train", "classifier"]
        line = {"config": bench.config("classifier", "judge"), "data": data, "seed": 0, "state": tmp_path / "s"}
        line |= {"output": tmp_path / "model.safetensors"}
    message = bench.refusal(*words, **line)
    assert NO_INDEX[name] in message
    assert name in message or name.removesuffix(".index.npz") in message


@pytest.mark.parametrize("name", ["nonsense.safetensors", "", "manifest.json"])
def test_a_model_file_is_the_one_that_is_named(bench: Workbench, tmp_path: Path, name: str) -> None:
    """The folder's own weights are not taken for another name."""
    line = {"config": bench.config("tokens"), "data": bench.train_data, "output": tmp_path / "t.npz"}
    message = bench.refusal("tokens", tokenizer=bench.model("two").parent / name, **line)
    assert {
        "nonsense.safetensors": "nonsense.safetensors does not exist",
        "": "is a folder, a file is needed",
        "manifest.json": "manifest.json",
    }[name] in message


def test_weights_of_another_name_are_read(bench: Workbench, tmp_path: Path) -> None:
    shutil.copytree(bench.model("two").parent, tmp_path / "m")
    other = tmp_path / "m" / "best.safetensors"
    (tmp_path / "m" / "model.safetensors").rename(other)
    shutil.copy(bench.model("critic"), tmp_path / "m" / "model.safetensors")  # which nobody names
    line = {"config": bench.config("tokens"), "data": bench.train_data}
    bench.run("tokens", tokenizer=other, output=tmp_path / "t.npz", **line)
    bench.run("tokens", tokenizer=bench.model("two"), output=tmp_path / "u.npz", **line)
    assert sha256_file(tmp_path / "t.npz") == sha256_file(tmp_path / "u.npz")
