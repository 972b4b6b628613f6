"""What a run holds, its sums, and the file that keeps it exactly.

Run: pytest tests/reporting/test_numbers.py
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from reporting.conftest import Tree
from safetensors.numpy import save_file

from titok.errors import ScoreError
from titok.records.metric import METRICS, described
from titok.reporting.digests import SAMPLE_ARRAYS, digest_arrays, digest_weights
from titok.reporting.numbers import Key, What, read_folder
from titok.reporting.numbers_file import read_numbers, write_numbers
from titok.runtime.files import FileError, save_npz

L2 = What("reconstruction", "l2", "stage1")


def test_the_sum_of_weights_is_of_names_types_shapes_and_bytes_in_order_of_names(tmp_path: Path) -> None:
    tensors = {"b": np.array([1.5, -2.0], np.float32), "a": np.zeros((1, 3), np.int64)}
    save_file(tensors, tmp_path / "one.safetensors", metadata={"when": "now"})
    save_file(dict(reversed(tensors.items())), tmp_path / "other.safetensors", metadata={"when": "then"})
    expected = hashlib.sha256(b"a I64 [1, 3]\n" + bytes(24) + b"b F32 [2]\n" + tensors["b"].tobytes()).hexdigest()
    assert digest_weights(tmp_path / "one.safetensors") == expected
    assert digest_weights(tmp_path / "other.safetensors") == expected


@pytest.mark.parametrize(
    "other",
    [
        {"a": np.array([1.0, 2.0000002], np.float32)},
        {"b": np.array([1.0, 2.0], np.float32)},
        {"a": np.array([[1.0, 2.0]], np.float32)},
        {"a": np.array([1.0, 2.0], np.float32).view(np.int32)},
    ],
)
def test_another_bit_name_shape_or_type_gives_another_sum(tmp_path: Path, other: dict[str, np.ndarray]) -> None:
    save_file({"a": np.array([1.0, 2.0], np.float32)}, tmp_path / "a.safetensors")
    save_file(other, tmp_path / "b.safetensors")
    assert digest_weights(tmp_path / "a.safetensors") != digest_weights(tmp_path / "b.safetensors")


def test_weights_cut_short_are_told(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": np.zeros(100, np.float32)}, path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(FileError, match=f"{re.escape(str(path))} is no readable safetensors file"):
        digest_weights(path)


def test_parts_have_the_sum_of_the_file_they_are_parts_of_whatever_their_timing(tmp_path: Path) -> None:
    images = np.arange(5 * 2 * 2 * 3, dtype=np.uint8).reshape(5, 2, 2, 3)
    labels = np.arange(5)
    save_npz(tmp_path / "all.npz", arr_0=images, labels=labels, index=np.arange(5))
    for first, last in ((0, 3), (3, 5)):
        part = {"arr_0": images[first:last], "labels": labels[first:last], "timing": np.random.rand(2)}
        save_npz(tmp_path / "parts" / f"part-{first:06d}.npz", **part)
    whole = digest_arrays(tmp_path / "all.npz", SAMPLE_ARRAYS)
    assert digest_arrays(tmp_path / "parts", SAMPLE_ARRAYS) == whole
    save_npz(tmp_path / "other.npz", arr_0=images, labels=labels[::-1].copy())
    assert digest_arrays(tmp_path / "other.npz", SAMPLE_ARRAYS) != whole
    with pytest.raises(FileError, match=r"has no array 'tokens' \(it has arr_0, labels, index\)"):
        digest_arrays(tmp_path / "all.npz", ("tokens",))


def add_files(tree: Tree) -> None:
    """Models, samples and tokens where a study puts them, and one that is being written."""
    for index, where in enumerate(("vqgan", "classifiers/judge", "tokenizers/l2/seed1/stage1", "generators/g/seed0")):
        path = tree.root / where / "model.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"w": np.full(3, index, np.float32)}, path)
    arrays = {"arr_0": np.zeros((2, 4, 4, 3), np.uint8), "labels": np.arange(2)}
    save_npz(tree.root / "samples/g/eight/seed0.npz", **arrays)
    save_npz(tree.root / "samples/g/eight/.seed1.12-ab.partial.npz", **arrays)
    save_npz(tree.root / "samples/g/four/seed0/part-000000.npz", **arrays, timing=np.ones(2))
    tree.json("samples/g/four/seed0/index.json", {})
    save_npz(tree.root / "tokens/l2/seed1/stage1.npz", tokens=np.ones((2, 1, 3), np.uint16), labels=np.arange(2))
    save_npz(tree.root / "tokens/vqgan.npz", tokens=np.ones((2, 1, 16), np.uint16), labels=np.arange(2))


def test_a_folder_gives_every_metric_but_speeds_and_every_sum(tree: Tree) -> None:
    add_files(tree)
    run = read_folder(tree.root)
    measured = [
        (record["kind"], metric, entry["value"])
        for record in map(json.loads, (path.read_text() for path in tree.scores))
        for metric, entry in record["metrics"].items()
        if metric != "sampling_images_per_second"
    ]
    found = [(key.what.kind, key.metric, number.value) for key, number in run.numbers.items()]
    sums = [(kind, metric) for kind, metric, value in found if isinstance(value, str)]
    assert sorted(one for one in found if not isinstance(one[2], str)) == sorted(measured)
    assert sorted(sums) == [
        ("classifier", "weights"),
        ("generator", "weights"),
        ("samples", "samples"),
        ("samples", "samples"),
        ("tokenizer", "weights"),
        ("tokens", "tokens"),
        ("tokens", "tokens"),
        ("vqgan", "weights"),
    ]
    assert Key(What("tokens", "l2", "stage1"), 1, "tokens") in run.numbers
    assert Key(What("samples", "g", sampler="four"), 0, "samples") in run.numbers
    assert run.environment["arithmetic"] == ["native"], "records without the key are older than the choice"
    assert run.environment["torch"] == ["2.9.0"]
    assert not any(isinstance(number.value, str) for number in read_folder(tree.root, with_sums=False).numbers.values())


def test_writing_and_reading_gives_the_same_run_bit_for_bit(tree: Tree, tmp_path: Path) -> None:
    add_files(tree)
    awkward = 0.1 + 0.2
    tree.edit("reconstruction/l2/stage1/seed0", "rfid", awkward)
    tree.edit("reconstruction/l2/stage1/seed1", "rfid", math.nextafter(awkward, 1))
    run = read_folder(tree.root)
    write_numbers(tmp_path / "a.csv", run, "ab" * 32)
    back = read_numbers(tmp_path / "a.csv")
    assert back.numbers == run.numbers
    assert back.numbers[Key(L2, 0, "rfid")].value == awkward
    assert back.numbers[Key(L2, 1, "rfid")].value == math.nextafter(awkward, 1)
    assert back.facts[L2] == run.facts[L2] == {"size": "l", "num_latent_tokens": 2}
    assert (back.study, back.environment, back.labels) == (run.study, run.environment, run.labels)
    assert back.protocols == {key: dict(value) for key, value in run.protocols.items()}
    write_numbers(tmp_path / "b.csv", back, "ab" * 32)
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()
    lines = [line for line in (tmp_path / "a.csv").read_text().splitlines() if not line.startswith("#")]
    assert any(line.startswith("reconstruction,l2,stage1,,0,rfid,0.30000000000000004,") for line in lines)
    assert len(lines) == 1 + len(run.numbers)


def test_a_doubled_or_infinite_score_is_told(tree: Tree) -> None:
    tree.edit("reconstruction/l2/stage1/seed0", "rfid", math.inf)
    with pytest.raises(ScoreError, match=r"seed0\.json: rfid is inf; only finite numbers"):
        read_folder(tree.root)
    tree.edit("reconstruction/l2/stage1/seed0", "rfid", 1.0)
    path = tree.root / "scores/reconstruction/l2/stage1/seed0.json"
    path.with_name("copy.json").write_text(path.read_text())
    with pytest.raises(ScoreError, match="of reconstruction l2, stage1, seed 0, is in another record, too"):
        read_folder(tree.root)


def test_sittings_of_a_speed_are_one_count_of_operations_and_no_doubled_record(tree: Tree) -> None:
    subject = {"generator": "g", "sampler": "eight", "seed": 0}
    for sitting, speed in enumerate((99.0, 100.0, 101.0)):
        metrics = {"sampling_images_per_second": speed, "sampling_gflop": 3.0}
        tree.score(f"throughput/g/eight/seed0-sitting{sitting}", "throughput", {**subject, "sitting": sitting}, metrics)
    found = read_folder(tree.root).numbers
    counted = {key.metric: number.value for key, number in found.items() if key.what.kind == "throughput"}
    assert counted == {"sampling_gflop": 3.0}


def test_a_folder_without_scores_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match=r"has no scores \(scores/\*\*/\*\.json\); name the results folder"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2\n",
        "\x00\xff",
        '# about {"format": "other"}\n',
        '# about {"format": "titok-numbers-1"}\nkind,name\n',
        "# about 3\n",
    ],
)
def test_another_file_is_no_file_of_numbers(tmp_path: Path, text: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ScoreError, match=r"table\.csv is no file of numbers"):
        read_numbers(path)


@pytest.mark.parametrize("value", ["nan", "3.1x", ""])
def test_a_spoilt_line_is_named(tree: Tree, tmp_path: Path, value: str) -> None:
    path = tmp_path / "n.csv"
    tree.edit("reconstruction/l2/stage1/seed0", "rfid", 0.125)
    write_numbers(path, read_folder(tree.root))
    path.write_text(path.read_text().replace(",rfid,0.125,", f",rfid,{value},"))
    with pytest.raises(ScoreError, match="the line 'reconstruction,l2,stage1,,0,rfid,"):
        read_numbers(path)


def test_every_metric_says_what_its_values_follow() -> None:
    """A new speed or count has to be given its word, or it stands here among what trainings spread."""
    groups = {
        word: {name for name, metric in METRICS.items() if metric.follows == word} for word in ("machine", "settings")
    }
    speeds = {f"{work}_images_per_second" for work in ("sampling", "training", "encode", "decode")}
    assert groups["machine"] == speeds | {"peak_memory_mib"}
    assert speeds == {name for name, metric in METRICS.items() if "/s" in metric.unit}
    parameters = {name for name in METRICS if name.endswith("parameters")}
    assert groups["settings"] == parameters | {"bits_per_image", "sampling_gflop", "encode_gflop", "decode_gflop"}
    at = described("bits_per_image@8").follows, described("bits_per_image@l1<0.08").follows
    assert at == ("settings", "training")
    others = "rfid@8", "mean_length@l1<0.08", "fd_dino", "nobody_knows"
    assert {described(name).follows for name in others} == {"training"}


@pytest.mark.parametrize("lost", ["a line", "half a line", "most"])
def test_a_file_of_numbers_that_was_cut_short(tree: Tree, tmp_path: Path, lost: str) -> None:
    path = tmp_path / "numbers.csv"
    write_numbers(path, read_folder(tree.root))
    text = path.read_text()
    kept = {"a line": text[: text.rstrip().rindex("\n") + 1], "half a line": text[:-9], "most": text[: len(text) // 2]}
    path.write_text(kept[lost])
    with pytest.raises(ScoreError, match=r"was cut short or edited|cannot be read"):
        read_numbers(path)


def test_the_mark_that_spreadsheets_put_first_is_passed_over(tree: Tree, tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    write_numbers(path, run := read_folder(tree.root))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_numbers(path).numbers == run.numbers
