"""No verb overwrites an input or somebody else's file, ignores a name, or finds out late that it cannot write.

Run: pytest tests/commands/test_outputs.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import yaml
from commands.workbench import Workbench, record
from models.toy_releases import toy_sizes, write_release  # noqa: F401 - a fixture
from PIL import Image

from titok.cli import build_parser, main
from titok.commands import ours
from titok.runtime.files import load_npz, save_npz, sha256_file


def verbs(parser: argparse.ArgumentParser, words: str = "") -> dict[str, argparse.ArgumentParser]:
    found = {words.strip(): parser}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                found |= verbs(child, f"{words} {name}")
    return found


def test_every_verb_that_writes_says_what() -> None:
    own_checks = {"fetch"}  # keeps what is there
    for name, parser in verbs(build_parser()).items():
        options = {action.dest for action in parser._actions if action.option_strings}
        if "output" in options and name not in own_checks:
            assert parser.get_default("places") is not None, name
            written, known, folders = parser.get_default("places")
            assert written or folders, name
            assert not known or callable(getattr(ours, known)), name


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "p"
    folder.mkdir()
    draws = np.random.default_rng(0)
    Image.fromarray(draws.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(folder / "photo.png")
    return folder


@pytest.fixture
def model(tmp_path: Path, toy_sizes: None) -> Path:  # noqa: F811
    write_release(tmp_path / "model", "two_stage")
    return tmp_path / "model"


def refusal(*words: object) -> str:
    with pytest.raises(SystemExit) as caught:
        main([*map(str, words), "--device", "cpu"])
    assert isinstance(caught.value.code, str)
    return caught.value.code


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize("way", ["the folder", "a linked folder", "a file"])
def test_originals_stay(tmp_path: Path, pictures: Path, model: Path, way: str, overwrite: list[str]) -> None:
    (tmp_path / "linked").symlink_to(pictures)
    output = {"the folder": pictures, "a linked folder": tmp_path / "linked", "a file": pictures / "photo.png"}[way]
    before = sha256_file(pictures / "photo.png")
    shared = ["--model", model, "--output", output, *overwrite]
    assert "would overwrite the input" in refusal("reconstruct", pictures, *shared)
    codes = tmp_path / "codes.json"
    main(["tokenize", str(pictures), "--model", str(model), "--output", str(codes), "--device", "cpu"])
    assert "would overwrite the input" in refusal("detokenize", codes, *shared)
    assert sha256_file(pictures / "photo.png") == before


def test_other_pictures_stay_without_a_word(tmp_path: Path, pictures: Path, model: Path) -> None:
    (tmp_path / "out").mkdir()
    theirs = tmp_path / "out" / "photo.png"
    theirs.write_text("of somebody else")
    line = ["reconstruct", pictures, "--model", model, "--output", tmp_path / "out"]
    assert "is there already" in refusal(*line)
    assert theirs.read_text() == "of somebody else"
    main([*map(str, line), "--device", "cpu", "--overwrite"])
    assert Image.open(theirs).size == (32, 32)


@pytest.mark.parametrize("verb", ["tokenize", "reconstruct"])
def test_an_archive_of_somebody_else_stays(tmp_path: Path, pictures: Path, model: Path, verb: str) -> None:
    theirs = tmp_path / "mine.npz"
    save_npz(theirs, a=np.zeros(3))
    line = [verb, pictures, "--model", model, "--output", theirs]
    assert "is there already" in refusal(*line)
    assert load_npz(theirs).keys() == {"a"}


def test_a_model_is_no_place_for_tokens(pictures: Path, model: Path) -> None:
    line = ["tokenize", pictures, "--model", model, "--output", model / "config.json", "--overwrite"]
    assert "would overwrite the input" in refusal(*line)


def test_one_picture_may_have_a_name_of_its_own(tmp_path: Path, pictures: Path, model: Path) -> None:
    output = tmp_path / "new" / "small.png"
    main(["reconstruct", str(pictures), "--model", str(model), "--output", str(output), "--device", "cpu"])
    assert Image.open(output).size == (32, 32)
    Image.new("RGB", (32, 32)).save(pictures / "second.png")
    message = refusal("reconstruct", pictures, "--model", model, "--output", tmp_path / "two.png")
    assert "two.png is one picture, but 2 will be made; name a folder or an .npz" in message


LATE = ["{photo}/x.json", "{photo}/deep/x.npz", "/proc/x.json", "{folder}/" + "n" * 300 + ".json"]


@pytest.mark.parametrize("output", LATE)
def test_a_place_that_cannot_be_written_is_found_before_the_model(pictures: Path, output: str) -> None:
    place = output.format(photo=pictures / "photo.png", folder=pictures)
    message = refusal("tokenize", pictures, "--model", "no such model", "--output", place)
    assert "OutputError" in message
    assert "cannot be written" in message


NAMES = {
    "reconstruct a.png --model m --output arr.NPZ": "ends in .NPZ, which is not written here",
    "reconstruct a.png --model m --output new.jpg": "ends in .jpg, which is not written here",
    "detokenize t.json --model m --output new.json": "ends in .json, which is not written here",
    "generate --class 1 --generator g --output tokens.pt": "ends in .pt, which is not written here",
    "sample --config c --generator g --tokenizer t --seed 0 --output s.png": "ends in .png, which is not written here",
    "train classifier --config c --state s --seed 0 --output m/a.safetensors": "write m/a/model.safetensors",
    "train classifier --config c --state s --seed 0 --output cl4.pt": "write cl4/model.safetensors",
    "train classifier --config c --state s --seed 0 --output cl5": "write cl5/model.safetensors",
    "adopt vqgan --config c --output m/b.safetensors": "must be called model.safetensors",
    "tokens --config c --data d --tokenizer t --output t.npy": "must end in .npz",
    "figure f --study s --output fig.pdf": "must end in .svg or .png or .csv",
    "table t --study s --output t.html": "must end in .csv or .md or .tex",
    "checks --study s --output checks.md": "must end in .json",
    "claims --output claims.txt": "must end in .json or .md",
    "report --study s --output page.pdf": "must end in .html or .htm",
    "crate --study s --output c.tar": "must end in .zip",
    "score reconstruction --config c --data d --model m --output o.json --examples e.png": "must end in .npz",
}


@pytest.mark.parametrize("line", NAMES)
def test_a_name_that_cannot_be_honoured_is_refused_at_once(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(line.split())
    assert caught.value.code == 2
    assert NAMES[line] in capsys.readouterr().err


def test_a_study_is_not_overwritten_by_its_own_settings(bench: Workbench) -> None:
    before = bench.study_file.read_text()
    assert "would overwrite the input" in bench.refusal(
        "resolve", bench.study_file, "score", "all", output=bench.study_file
    )
    assert bench.study_file.read_text() == before


def test_settings_are_resolved_again_but_not_over_other_files(bench: Workbench, tmp_path: Path) -> None:
    output = tmp_path / "score.yaml"
    for _ in range(2):
        bench.run("resolve", bench.study_file, "score", "all", output=output)
    assert "is there already" in bench.refusal("resolve", bench.study_file, "sample", "two-steps", output=output)


def train_line(bench: Workbench, tmp_path: Path, seed: int = 0) -> dict[str, object]:
    files = {"output": tmp_path / "m" / "model.safetensors", "state": tmp_path / f"s{seed}"}
    return {"config": bench.config("classifier", "judge"), "data": bench.train_data, "seed": seed, **files}


def test_a_training_replaces_its_own_model_and_no_other(bench: Workbench, tmp_path: Path) -> None:
    bench.run("train", "classifier", **train_line(bench, tmp_path))
    model = tmp_path / "m" / "model.safetensors"
    first = sha256_file(model)
    bench.run("train", "classifier", **train_line(bench, tmp_path))  # only exported again
    assert sha256_file(model) == first
    assert "add --overwrite" in bench.refusal("train", "classifier", **train_line(bench, tmp_path, seed=1))
    settings = yaml.safe_load(bench.config("classifier", "judge").read_text())
    settings["training"]["steps"] += 1
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(settings))
    other = train_line(bench, tmp_path) | {"config": tmp_path / "other.yaml"}
    assert "add --overwrite" in bench.refusal("train", "classifier", **other)
    assert sha256_file(model) == first
    assert not (tmp_path / "s1").exists()
    (tmp_path / "m" / "manifest.json").unlink()  # killed while it was exported
    bench.run("train", "classifier", **train_line(bench, tmp_path))
    assert sha256_file(model) == first
    main_line = train_line(bench, tmp_path, seed=1)
    bench.run("train", "classifier", "--overwrite", **main_line)
    assert record(tmp_path / "m" / "manifest.json")["seed"] == 1


def test_the_model_that_a_training_starts_from_stays(bench: Workbench, tmp_path: Path) -> None:
    line = {"config": bench.config("stage2", "two"), "data": bench.train_data, "critic": bench.model("critic")}
    line |= {"init": bench.model("stage1"), "output": bench.model("stage1"), "state": tmp_path / "s", "seed": 0}
    assert "would overwrite the input" in bench.refusal("train", "stage2", "--overwrite", **line)


def test_a_score_of_something_else_stays(bench: Workbench, tmp_path: Path) -> None:
    output = tmp_path / "score.json"
    shared = {"config": bench.config("score"), "data": bench.test_data, "judge": bench.model("judge"), "output": output}
    for _ in range(2):
        bench.run("score", "codec", codec="jpeg", quality=80, **shared)
    before = output.read_bytes()
    assert "is there already" in bench.refusal("score", "codec", codec="jpeg", quality=90, **shared)
    assert output.read_bytes() == before
    state = {"state": bench.train_data, "subject": '{"tokenizer": "two", "seed": 0}', "model": bench.model("stage1")}
    files = {"train": bench.train_data, "test": bench.test_data, "config": bench.config("probe"), "output": output}
    assert "is a file; name a folder" in bench.refusal("score", "probe", **state, **files)


def test_facts_of_samples_are_no_place_for_their_score(bench: Workbench) -> None:
    samples = bench.root / "samples.npz"
    line = {"config": bench.config("score"), "data": bench.train_data, "judge": bench.model("judge")}
    line |= {"subject": '{"generator": "g", "seed": 0}', "training": bench.model("g").with_name("manifest.json")}
    message = bench.refusal("score", "generation", samples=samples, output=samples.with_suffix(".json"), **line)
    assert "would overwrite the input" in message


def test_samples_and_tokens_of_other_models_stay(bench: Workbench, tmp_path: Path) -> None:
    models = {"generator": bench.model("g"), "tokenizer": bench.model("two")}
    line = {"config": bench.config("sample", "two-steps"), "output": tmp_path / "s.npz", **models}
    for _ in range(2):
        bench.run("sample", seed=0, **line)
    before = sha256_file(tmp_path / "s.npz")
    assert "are there already" in bench.refusal("sample", seed=1, **line)
    assert sha256_file(tmp_path / "s.npz") == before
    line = {"config": bench.config("tokens"), "data": bench.train_data, "output": tmp_path / "t.npz"}
    for _ in range(2):
        bench.run("tokens", tokenizer=bench.model("two"), **line)
    assert "is there already" in bench.refusal("tokens", tokenizer=bench.model("one"), **line)


def test_samples_of_another_seed_in_a_folder_stay(bench: Workbench, tmp_path: Path) -> None:
    models = {"generator": bench.model("g"), "tokenizer": bench.model("two")}
    line = {"config": bench.config("sample", "two-steps"), "output": tmp_path / "v0.5", **models}
    for _ in range(2):
        bench.run("sample", seed=0, **line)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v0.5", "v0.5.json"]
    files = {path: path.read_bytes() for path in (tmp_path / "v0.5").iterdir()}
    assert "are there already" in bench.refusal("sample", seed=1, **line)
    for name in (tmp_path / "v0.5" / "index.json", tmp_path / "v0.5.json"):  # as a kill leaves it
        name.unlink()
    assert "identity.json is there already" in bench.refusal("sample", seed=1, **line)
    bench.run("sample", seed=0, **line)
    assert {path: path.read_bytes() for path in (tmp_path / "v0.5").iterdir()} == files


def test_tables_are_made_again_but_not_over_other_files(bench: Workbench, tmp_path: Path) -> None:
    scores = sorted((bench.root / "scores").glob("*.json"))
    line = {"study": bench.study_file, "scores": scores, "output": tmp_path / "table1.csv"}
    for _ in range(2):
        bench.run("table", "table1", **line)
    theirs = tmp_path / "notes.md"
    theirs.write_text("mine")
    message = bench.refusal("table", "table1", **{**line, "output": tmp_path / "notes.csv"})
    assert "notes.md is there already" in message
    assert theirs.read_text() == "mine"


def test_an_array_of_somebody_else_is_no_place_for_codes(bench: Workbench, tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", np.zeros(3))
    line = {"config": bench.config("score"), "data": bench.train_data, "vqgan": bench.model("vqgan")}
    assert "mine.npy is there already" in bench.refusal("codes", "extract", output=tmp_path / "mine.npy", **line)
    assert np.load(tmp_path / "mine.npy").shape == (3,)


def test_shards_of_somebody_else_stay(bench: Workbench, tmp_path: Path) -> None:
    theirs = tmp_path / "data" / "train-000000.tar"
    theirs.parent.mkdir()
    theirs.write_text("a WebDataset")
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / "images" / split / name).mkdir(parents=True)
            for number in range(2):
                pixels = np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "images" / split / name / f"{split}{name}{number}.png")
    settings = yaml.safe_load(bench.config("data").read_text())
    settings["dataset"] |= {"kind": "folder", "folder": {"root": str(tmp_path / "images")}, "num_classes": 2}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    line = {"config": tmp_path / "config.yaml", "output": theirs.parent}
    assert "train-000000.tar is there already" in bench.refusal("prepare", **line)
    assert theirs.read_text() == "a WebDataset"
    theirs.unlink()
    for _ in range(2):
        bench.run("prepare", **line)
