"""Folders of images: classes by name, what lies where it does not belong, and names that collide.

Run: pytest tests/data/test_folder.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from data.miniature import encoded

from titok.config.data import Preparation
from titok.data.plan import SourceError
from titok.data.prepare import prepare
from titok.data.shards import ShardReader

CLASSES = ("airplane", "bird", "zebra 2")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two splits of three classes, the same file names in each."""
    for split in ("train", "test"):
        for label, name in enumerate(CLASSES):
            for number in range(2):
                write(tmp_path / "images" / split / name / f"{number:04d}.jpg", encoded(10 * label + number))
    return tmp_path / "images"


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def run(root: Path, **changes: object) -> Path:
    settings = {"kind": "folder", "num_classes": 3, "folder": {"root": str(root)}, **changes}
    output = root.parent / "output"
    prepare(Preparation(**settings), output)
    return output


def test_classes_are_numbered_by_name_and_keys_carry_them(root: Path) -> None:
    reader = ShardReader(run(root), "test")
    assert reader.class_names == list(CLASSES)
    assert reader.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert reader.keys.tolist()[:4] == ["airplane_0000", "airplane_0001", "bird_0000", "bird_0001"]
    assert reader.keys[4].startswith("zebra-2_0000-")
    assert reader.read(3) == encoded(11)


def test_a_test_split_may_lack_classes(root: Path) -> None:
    for file in (root / "test" / "bird").iterdir():
        file.unlink()
    (root / "test" / "bird").rmdir()
    assert ShardReader(run(root), "test").labels.tolist() == [0, 0, 2, 2]


def test_links_of_ones_own_folder_are_followed(root: Path) -> None:
    """Many clusters keep validation folders as links; what is refused are links inside archives."""
    file = root / "train" / "bird" / "0000.jpg"
    file.rename(root.parent / "elsewhere.jpg")
    file.symlink_to(root.parent / "elsewhere.jpg")
    assert len(ShardReader(run(root), "train")) == 6


def test_hidden_files_are_noted(root: Path) -> None:
    write(root / "train" / ".DS_Store", b"")
    write(root / "train" / "bird" / "._0000.jpg", b"")
    output = run(root)
    assert (
        '"ignored_files": [\n    ".DS_Store",\n    "bird/._0000.jpg"\n  ]'
        in (output / "train.manifest.json").read_text()
    )


def remove_birds(root: Path) -> None:
    for file in (root / "train" / "bird").iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (remove_birds, r"1 class\(es\) have no training image: bird"),
        (
            lambda root: write(root / "train" / "bird" / "notes.txt", b""),
            r"notes\.txt is no image by its name; allowed",
        ),
        (lambda root: write(root / "train" / "loose.jpg", b""), r"loose\.jpg lies beside the classes' folders"),
        (
            lambda root: write(root / "train" / "bird" / "more" / "a.jpg", b""),
            r"bird/more is no file; a class's folder",
        ),
        (lambda root: write(root / "test" / "cat" / "a.jpg", b""), r"test/cat is no class of the training split"),
        (
            lambda root: write(root / "train" / "cat" / "a.jpg", b""),
            r'4 classes were found: \["airplane", "bird", "cat", "\.',
        ),
        (
            lambda root: write(root / "train" / "bird" / "0000.png", encoded(1, "PNG")),
            r"1 image\(s\) share the key .* 'bird_0000': .*bird/0000\.jpg and .*bird/0000\.png; keep one",
        ),
        (lambda root: (root / "train").rename(root / "training"), r"images/train cannot be listed \(No such file"),
    ],
)
def test_what_does_not_belong_is_named(root: Path, change: Callable[[Path], object], words: str) -> None:
    change(root)
    with pytest.raises(SourceError, match=words):
        run(root)


def test_an_empty_split_is_refused(root: Path) -> None:
    (root / "val").mkdir()
    with pytest.raises(SourceError, match="split 'test' has no images"):
        run(root, folder={"root": str(root), "test": "val"})


def test_a_home_folder_may_be_abbreviated(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root.parent))
    output = root.parent / "output"
    prepare(Preparation(kind="folder", num_classes=3, folder={"root": "~/images"}), output)
    assert len(ShardReader(output, "train")) == 6
