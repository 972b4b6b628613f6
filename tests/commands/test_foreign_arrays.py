"""Array files as people have them: scored without our side files, or refused in a sentence.

Run: pytest tests/commands/test_foreign_arrays.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands.workbench import Workbench, record

from titok.cli import main
from titok.errors import ScoreError
from titok.evaluation.samples import Samples
from titok.runtime.files import load_npz, save_npz

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 24, 24, 3), dtype=np.uint8)


def doctor_refusal(*words: object) -> str:
    with pytest.raises(SystemExit) as caught:
        main(["doctor", "score", *map(str, words), "--weights", "no such weights", "--device", "cpu"])
    assert isinstance(caught.value.code, str)
    return caught.value.code


def write(path: Path, kind: str) -> Path:
    match kind:
        case "empty":
            path.touch()
        case "npy named npz":
            with path.open("wb") as stream:
                np.save(stream, IMAGES)
        case "page":
            path.write_text("<html>404</html>")
        case "cut":
            save_npz(path, arr_0=IMAGES)
            path.write_bytes(path.read_bytes()[:3000])
    return path


MESSAGES = {
    "empty": "is empty (0 bytes), as an interrupted download leaves it",
    "npy named npz": "is a single .npy array, an .npz with named arrays is needed",
    "page": "begins with b'<html>', as no .npz does",
    "cut": "no readable",
}


@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize("role", ["samples", "--originals", "--reference"])
def test_what_is_no_archive(tmp_path: Path, kind: str, role: str) -> None:
    save_npz(tmp_path / "good.npz", arr_0=IMAGES)
    bad = write(tmp_path / "bad.npz", kind)
    line = [bad, "--originals", tmp_path / "good.npz"] if role == "samples" else [tmp_path / "good.npz", role, bad]
    message = doctor_refusal(*line)
    assert MESSAGES[kind] in message
    assert str(bad) in message


def test_a_plain_npy_is_told_how_to_become_an_archive(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGES)
    save_npz(tmp_path / "good.npz", arr_0=IMAGES)
    for line in ([tmp_path / "a.npy"], [tmp_path / "good.npz", "--originals", tmp_path / "a.npy"]):
        assert "save it with numpy.savez(path, arr_0=array)" in doctor_refusal(
            *line, "--reference", tmp_path / "good.npz"
        )


LABELS = {
    "text": (np.array(list("abcdefgh")), "labels of type <U1; allowed: whole numbers"),
    "nan": (np.array([0, 1, 2, np.nan, 4, 5, 6, 7]), "has the label nan; allowed: whole numbers"),
    "halves": (np.arange(8) / 2, "has the label 0.5; allowed: whole numbers"),
    "infinite": (np.full(8, np.inf), "has the label inf; allowed: whole numbers"),
    "complex": (np.zeros(8, complex), "labels of type complex128"),
    "times": (np.zeros(8, "datetime64[s]"), "labels of type datetime64"),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_are_whole_numbers(tmp_path: Path, kind: str) -> None:
    labels, message = LABELS[kind]
    save_npz(tmp_path / "s.npz", arr_0=IMAGES, labels=labels)
    assert message in doctor_refusal(tmp_path / "s.npz", "--originals", tmp_path / "s.npz")


@pytest.mark.parametrize("shape", [(8, 48, 48, 3), (8, 48, 24, 3), (8, 24, 25, 3), (8, 12, 12, 3)])
def test_originals_are_of_the_samples_size(tmp_path: Path, shape: tuple[int, ...]) -> None:
    save_npz(tmp_path / "s.npz", arr_0=IMAGES)
    save_npz(tmp_path / "o.npz", arr_0=np.zeros(shape, np.uint8))
    message = doctor_refusal(tmp_path / "s.npz", "--originals", tmp_path / "o.npz")
    assert f"o.npz is of images of {shape[1]} x {shape[2]} pixels, the samples have 24 x 24" in message


def test_files_count_once(tmp_path: Path) -> None:
    save_npz(tmp_path / "s.npz", arr_0=IMAGES)
    (tmp_path / "t.npz").symlink_to(tmp_path / "s.npz")
    message = doctor_refusal(tmp_path / "s.npz", tmp_path / "t.npz", "--originals", tmp_path / "s.npz")
    assert "are the same file of samples; name each once" in message
    (tmp_path / "d").mkdir()
    references = [tmp_path / "r.npz", tmp_path / "d" / "r.npz"]
    for path in references:
        save_npz(path, mu=np.zeros(4), sigma=np.eye(4))
    message = doctor_refusal(tmp_path / "s.npz", "--reference", *references)
    assert "rows are told by the file's name" in message


def test_moments_are_numbers(tmp_path: Path) -> None:
    save_npz(tmp_path / "s.npz", arr_0=IMAGES)
    save_npz(tmp_path / "r.npz", mu=np.array(["a", "b"]), sigma=np.eye(2), about=np.array("made by hand"))
    assert "mu of type <U1; allowed: real numbers" in doctor_refusal(
        tmp_path / "s.npz", "--reference", tmp_path / "r.npz"
    )


def generation(bench: Workbench, samples: Path, output: Path) -> dict[str, Any]:
    line = {"config": bench.config("score"), "data": bench.train_data, "judge": bench.model("judge")}
    return {**line, "samples": samples, "subject": '{"generator": "mine", "sampler": "x", "seed": 0}', "output": output}


@pytest.mark.parametrize("form", ["ours without facts", "adm", "compressed", "float labels"])
def test_samples_of_others_are_scored_without_our_side_file(
    bench: Workbench, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = load_npz(bench.root / "samples.npz")
    images, labels = arrays["arr_0"], arrays["labels"]
    path = tmp_path / "mine.npz"
    match form:
        case "adm":
            np.savez(path, images, labels)
        case "compressed":
            np.savez_compressed(path, arr_0=images, labels=labels.astype(np.uint8))
        case "float labels":
            np.savez(path, arr_0=images, labels=labels.astype(np.float32))
        case _:
            save_npz(path, arr_0=images, labels=labels)
    output = tmp_path / "score.json"
    bench.run("score", "generation", **generation(bench, path, output))
    found, ours = record(output), record(bench.root / "scores" / "generation.json")
    for name in ("gfid", "inception_score", "precision", "recall", "class_agreement"):
        assert found["metrics"][name] == ours["metrics"][name]
    unknown = {"generator_parameters", "sampling_images_per_second", "training_images_per_second"}
    assert not unknown & found["metrics"].keys()
    assert "mine.npz was not made by `titok sample`" in capsys.readouterr().err


def test_labels_that_nobody_has_are_named_as_they_must_be(bench: Workbench, tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", load_npz(bench.root / "samples.npz")["arr_0"])
    message = bench.refusal("score", "generation", **generation(bench, tmp_path / "mine.npz", tmp_path / "score.json"))
    assert "store them in the file as `labels`" in message


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": IMAGES, "y": np.arange(8)}, r"holds images, y; the images must be called arr_0: numpy\.savez"),
        ({}, "holds no array; the images must be called arr_0"),
        ({"arr_0": IMAGES, "arr_1": np.arange(8), "labels": np.arange(8)[::-1]}, "two lists of labels that differ"),
    ],
)
def test_arrays_under_other_names(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ScoreError, match=message):
        Samples.open(tmp_path / "bad.npz")


def test_the_same_labels_twice_are_one_list(tmp_path: Path) -> None:
    np.savez(tmp_path / "good.npz", arr_0=IMAGES, arr_1=np.arange(8), labels=np.arange(8))
    assert Samples.open(tmp_path / "good.npz").labels.tolist() == list(range(8))


def test_a_manifest_that_is_named_must_be_there(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("titok.commands.score.score_samples", lambda *arguments, **others: pytest.fail("scored"))
    line = generation(bench, bench.root / "samples.npz", tmp_path / "score.json")
    message = bench.refusal("score", "generation", training=tmp_path / "no.json", **line)
    assert "no.json does not exist" in message


@pytest.mark.parametrize("kind", MESSAGES)
def test_tokens_that_are_no_archive(bench: Workbench, tmp_path: Path, kind: str) -> None:
    bad = write(tmp_path / "bad.npz", kind)
    line = {"config": bench.config("generator", "g"), "tokens": bad, "seed": 0, "state": tmp_path / "s"}
    message = bench.refusal("train", "generator", output=tmp_path / "m" / "model.safetensors", **line)
    assert MESSAGES[kind] in message
