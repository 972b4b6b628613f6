"""Folders of images: classes by name, what lies where it does not belong, and names that collide.

Run: pytest tests/data/test_folder.py
"""

from __future__ import annotations

import json
import re
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


def test_files_of_operating_systems_are_passed_over_everywhere(root: Path) -> None:
    system = [".ipynb_checkpoints/a.jpg", "@eaDir/a.jpg", "Thumbs.db", "desktop.ini", "._x.jpg"]
    for name in system:
        write(root / "train" / name, b"")
        write(root / "train" / "bird" / name, b"")
    for name in ("labels.csv", "README.md", "sums.SHA256"):
        write(root / "train" / name, b"about the images")
    output = run(root)
    assert len(ShardReader(output, "train")) == 6
    tops = [name.split("/")[0] for name in system]
    ignored = json.loads((output / "train.manifest.json").read_text())["ignored_files"]
    assert ignored == sorted([*tops, *(f"bird/{name}" for name in tops), "labels.csv", "README.md", "sums.SHA256"])


def test_jpegs_may_be_called_jfif_and_jpe(root: Path) -> None:
    for ending in ("jfif", "JPE"):
        write(root / "train" / "bird" / f"more.{ending}".replace("more", f"more-{ending}"), encoded(50))
    output = run(root)
    assert {"bird_more-jfif", "bird_more-JPE"} <= set(ShardReader(output, "train").keys)
    assert json.loads((output / "train.manifest.json").read_text())["oddities"]["misnamed_format"]["count"] == 0


def test_places_that_make_the_same_key_are_kept_apart(tmp_path: Path) -> None:
    root = tmp_path / "images"
    files = {
        "red/car_1.jpg": encoded(0),
        "red_car/1.jpg": encoded(1),
        "red/2.jpg": encoded(2),
        "red_car/2.jpg": encoded(3),
    }
    for split in ("train", "test"):
        for name, data in files.items():
            write(root / split / name, data)
    reader = ShardReader(run(root, num_classes=2), "train")
    assert {reader.read(index): label for index, label in enumerate(reader.labels)} == {
        files["red/car_1.jpg"]: 0, files["red/2.jpg"]: 0, files["red_car/1.jpg"]: 1, files["red_car/2.jpg"]: 1,
    }  # fmt: skip
    assert {"red_2", "red_car_2"} < set(reader.keys), "others keep their keys"
    apart = set(reader.keys) - {"red_2", "red_car_2"}
    assert all(re.fullmatch(r"red_car_1-[0-9a-f]{8}", key) for key in apart)
    assert len(apart) == 2


def test_all_files_that_do_not_belong_are_named_at_once(root: Path) -> None:
    (root / "train" / "bird" / "gone.jpg").symlink_to(root / "nowhere.jpg")
    (root / "train" / "airplane" / "circle.jpg").symlink_to("circle.jpg")
    (root / "train" / "cat").symlink_to(root / "no folder")
    write(root / "train" / "bird" / "list.txt", b"")
    write(root / "train" / "airplane" / "photo.webp", encoded(1, "WEBP"))
    write(root / "train" / "loose.jpg", encoded(1))
    with pytest.raises(SourceError) as caught:
        run(root)
    message = str(caught.value)
    assert message.startswith("6 files cannot be used:\n")
    for words in (
        f"bird/gone.jpg is a dangling link: {root}/nowhere.jpg does not exist; mend the link",
        "airplane/circle.jpg is a dangling link: circle.jpg does not exist",
        f"train/cat is a dangling link: {root}/no folder does not exist",
        "bird/list.txt is no image by its name; allowed: .jpeg, .jpg, .jpe, .jfif, .png; convert it, or remove it",
        "airplane/photo.webp is no image by its name",
        "loose.jpg lies beside the classes' folders",
    ):
        assert words in message, words
    assert message.count("(of data that you may not change, link the images into a folder of your own)") == 6
    assert not (root.parent / "output" / "train.index.npz").exists()


def break_class(root: Path, *names: str) -> None:
    for name in names:
        for file in (root / "train" / name).iterdir():
            file.write_bytes(b"no image")


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (("bird",), r"1 class\(es\) have no training image left: bird; replace some of the 2 image\(s\)"),
        (("bird", "airplane"), r"2 class\(es\) have no training image left: airplane, bird; replace some of the 4"),
        (CLASSES, r"3 class\(es\) have no training image left: airplane, bird, zebra 2; .*\n  - train: airplane/0000"),
    ],
)
def test_leaving_out_what_cannot_be_decoded_must_not_empty_a_class(
    root: Path, broken: tuple[str, ...], words: str
) -> None:
    break_class(root, *broken)
    with pytest.raises(SourceError, match=words):
        run(root, allow_undecodable=50)
    left = [path.name for path in (root.parent / "output").iterdir()]
    assert not [name for name in left if "index" in name or "manifest" in name]


def test_manifests_of_two_runs_are_the_same(root: Path) -> None:
    write(root / "train" / "bird" / "bad.jpg", b"no image")
    first = (run(root, allow_undecodable=1) / "train.manifest.json").read_bytes()
    (root.parent / "output").rename(root.parent / "first")
    assert (run(root, allow_undecodable=1) / "train.manifest.json").read_bytes() == first
    assert b"UnidentifiedImageError: cannot identify image file" in first
    assert b"0x" not in first


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
