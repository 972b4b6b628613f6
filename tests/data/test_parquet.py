"""Parquet files of Hugging Face datasets: names, labels, class names, and what is refused.

Run: pytest tests/data/test_parquet.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from data.miniature import encoded, write_parquet

from titok.config.data import Preparation
from titok.data.plan import SourceError
from titok.data.prepare import plan_split, prepare
from titok.data.shards import ShardReader

pyarrow = pytest.importorskip("pyarrow")
from pyarrow.parquet import write_table  # noqa: E402

WNIDS = ["n01440764", "n01443537"]
Row = tuple[str | None, bytes, str]


def config(folder: Path, **changes: object) -> Preparation:
    source = {"train": str(folder / "train-*.parquet"), "test": str(folder / "test-*.parquet")}
    settings = {"kind": "parquet", "num_classes": 2, "parquet": {**source, **changes.pop("parquet", {})}}
    return Preparation(**{**settings, **changes})


def write(folder: Path, rows: list[Row], split: str = "train") -> None:
    for number in range(2):
        write_parquet(folder / f"{split}-{number}.parquet", rows[number::2], WNIDS, group=2)


ROWS: list[Row] = [(f"{WNIDS[n % 2]}_{n}_{WNIDS[n % 2]}.JPEG", encoded(n), WNIDS[n % 2]) for n in (5, 2, 7, 0, 1, 6, 3)]


def test_the_index_is_in_the_order_of_names(tmp_path: Path) -> None:
    write(tmp_path, ROWS)
    write(tmp_path, ROWS[:2], "test")
    prepare(config(tmp_path, shard_images=3), tmp_path / "out")
    reader = ShardReader(tmp_path / "out", "train")
    wanted = {f"{wnid}_{int(name.split('_')[1])}": data for name, data, wnid in ROWS if name}
    assert reader.keys.tolist() == sorted(wanted)
    assert {key: reader.read(index) for index, key in enumerate(reader.keys)} == wanted
    assert reader.class_names == WNIDS
    assert len(list((tmp_path / "out").glob("train-*.tar"))) == 3


def test_rows_without_names_keep_their_order(tmp_path: Path) -> None:
    rows: list[Row] = [(None, data, wnid) for _, data, wnid in ROWS]
    write(tmp_path, rows)
    write(tmp_path, rows[:2], "test")
    prepare(config(tmp_path), tmp_path / "out")
    reader = ShardReader(tmp_path / "out", "train")
    assert [reader.read(index) for index in range(7)] == [data for _, data, _ in [*rows[::2], *rows[1::2]]]
    assert reader.keys[0] == "row-00000-00000-000000"
    assert reader.class_names == ["0", "1"]


def write_named(folder: Path, rows: list[tuple[str, bytes, int]], names: list[str] | None) -> None:
    """Both splits, with the class names that the datasets library keeps."""
    images = [{"bytes": data, "path": path} for path, data, _ in rows]
    table = pyarrow.table({"image": images, "label": [label for _, _, label in rows]})
    if names:
        about = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
    for split in ("train", "test"):
        write_table(table, folder / f"{split}-0.parquet")


@pytest.mark.parametrize("folders", [True, False])
@pytest.mark.parametrize("names", [["cat", "dog"], None])
def test_classes_may_share_file_names(tmp_path: Path, names: list[str] | None, folders: bool) -> None:
    """As folders of classes do: train/cat/0000.jpg, train/dog/0000.jpg; some copies keep the base names only."""
    called = names or ["0", "1"]
    rows = [
        (label, n, f"{called[label]}/{n:04d}.jpg" if folders else f"{n:04d}.jpg") for n in range(3) for label in (1, 0)
    ]
    write_named(tmp_path, [(path, encoded(10 * label + n), label) for label, n, path in rows], names)
    prepare(config(tmp_path), tmp_path / "out")
    reader = ShardReader(tmp_path / "out", "train")
    assert reader.keys.tolist() == [f"{name}_{n:04d}" for name in called for n in range(3)]
    assert reader.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert [reader.read(index) for index in range(6)] == [encoded(10 * label + n) for label in (0, 1) for n in range(3)]


def test_the_same_names_in_subfolders_of_a_class_are_kept_apart(tmp_path: Path) -> None:
    rows = [("a/0.jpg", 0), ("b/0.jpg", 0), ("a/0.jpg", 1), ("c.jpg", 1)]
    write_named(tmp_path, [(path, encoded(n), label) for n, (path, label) in enumerate(rows)], ["cat", "dog"])
    prepare(config(tmp_path), tmp_path / "out")
    reader = ShardReader(tmp_path / "out", "train")
    assert [key[:6] for key in reader.keys] == ["cat_0-", "cat_0-", "dog_0", "dog_c"]
    assert {reader.read(index) for index in (0, 1)} == {encoded(0), encoded(1)}


def test_a_path_twice_in_a_class_is_refused(tmp_path: Path) -> None:
    rows = [("0.jpg", 0), ("0.jpg", 1), ("0.jpg", 1)]
    write_named(tmp_path, [(path, encoded(n), label) for n, (path, label) in enumerate(rows)], ["cat", "dog"])
    with pytest.raises(SourceError, match=r"1 image\(s\) share the key .* 'dog_0'.*see that no row is matched twice"):
        plan_split(config(tmp_path), tmp_path / "out", "train")


def test_class_names_of_the_datasets_library_are_kept(tmp_path: Path) -> None:
    names = {"info": {"features": {"digit": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    table = pyarrow.table(
        {"img": [{"bytes": encoded(n, "PNG"), "path": None} for n in range(4)], "digit": [0, 1, 1, 0], "extra": [1] * 4}
    ).replace_schema_metadata({"huggingface": json.dumps(names)})
    write_table(table, tmp_path / "train-0.parquet")
    write_table(table, tmp_path / "test-0.parquet")
    columns = {"image_column": "img", "label_column": "digit"}
    prepare(config(tmp_path, parquet=columns), tmp_path / "out")
    reader = ShardReader(tmp_path / "out", "test")
    assert reader.class_names == ["cat", "dog"]
    assert reader.labels.tolist() == [0, 1, 1, 0]


def plan(folder: Path, rows: list[Row], **changes: object) -> None:
    write(folder, rows)
    plan_split(config(folder, **changes), folder / "out", "train")


def test_labels_out_of_range_are_refused(tmp_path: Path) -> None:
    table = pyarrow.table(
        {"image": [{"bytes": b"", "path": "a.JPEG"}, {"bytes": b"", "path": "b.JPEG"}], "label": [0, -1]}
    )
    write_table(table, tmp_path / "train-0.parquet")
    with pytest.raises(
        SourceError, match=r"b\.JPEG has label -1; allowed: 0 to 1 .*unlabelled test sets cannot be used"
    ):
        plan_split(config(tmp_path), tmp_path / "out", "train")


def test_labels_against_the_order_of_the_wordnet_ids_are_refused(tmp_path: Path) -> None:
    swapped: list[Row] = [(name, data, WNIDS[1 - WNIDS.index(wnid)]) for name, data, wnid in ROWS]
    with pytest.raises(SourceError, match="labels are not in the order of the classes' WordNet ids"):
        plan(tmp_path, swapped)


def test_a_label_of_two_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="label 0 stands for n01440764 and n01443537"):
        plan(tmp_path, [*ROWS, (f"{WNIDS[1]}_9_{WNIDS[1]}.JPEG", encoded(9), WNIDS[0])])


def test_the_same_image_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"1 image\(s\) share the key of another one, such as 'n01443537_5'"):
        plan(tmp_path, [*ROWS, ROWS[0]])


def test_missing_columns_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"dataset\.parquet\.train is .*train-\*\.parquet', but there is no such file"
    ):
        plan_split(config(tmp_path), tmp_path / "out", "train")
    with pytest.raises(
        SourceError, match=r"train-0\.parquet has no column img\.bytes; it has: image\.bytes, image\.path"
    ):
        plan(tmp_path, ROWS, parquet={"image_column": "img"})


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, ROWS)
    file = tmp_path / "train-1.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"train-1\.parquet cannot be read .*fetch the file again"):
        plan_split(config(tmp_path), tmp_path / "out", "train")


def test_what_to_install_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, ROWS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SourceError, match=r"only be read with pyarrow.*pip install -e '\.\[parquet\]'"):
        plan_split(config(tmp_path), tmp_path / "out", "train")
