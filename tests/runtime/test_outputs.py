"""The look at outputs before any work: inputs, other people's files and unwritable places are found and named.

Run: pytest tests/runtime/test_outputs.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from titok.runtime.files import write_text
from titok.runtime.outputs import OutputError, require_folder, require_places


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_text("a photo")
    return path


def test_a_new_place_is_good_and_nothing_is_left_behind(tmp_path: Path, photo: Path) -> None:
    require_places([tmp_path / "new" / "deep" / "a.png", tmp_path / "b.png"], [photo])
    require_folder(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == [photo]


@pytest.mark.parametrize("way", ["itself", "other spelling", "symbolic link", "hard link", "linked folder"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_input_is_never_an_output(tmp_path: Path, photo: Path, way: str, overwrite: bool) -> None:
    (tmp_path / "other").mkdir()
    output = {
        "itself": photo,
        "other spelling": tmp_path / "other" / ".." / "photo.png",
        "symbolic link": tmp_path / "link.png",
        "hard link": tmp_path / "hard.png",
        "linked folder": tmp_path / "linked" / "photo.png",
    }[way]
    (tmp_path / "link.png").symlink_to(photo)
    (tmp_path / "hard.png").hardlink_to(photo)
    (tmp_path / "linked").symlink_to(tmp_path)
    with pytest.raises(OutputError) as caught:
        require_places([output], [photo], overwrite=overwrite, may_replace=lambda path: True)
    assert f"{output} would overwrite the input {photo}" in str(caught.value)
    assert photo.read_text() == "a photo"


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "model.safetensors.index.json", "part-000000.npz"]
)
def test_files_of_an_input_folder_are_inputs(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(OutputError, match="would overwrite the input"):
        require_places([tmp_path / name], [tmp_path], overwrite=True)
    (tmp_path / "codes.json").write_text("{}")
    require_places([tmp_path / "codes.json"], [tmp_path], overwrite=True)


def test_what_is_read_together_with_an_input_is_one(tmp_path: Path) -> None:
    for name in ("model.safetensors", "config.json", "s.npz", "s.json"):
        (tmp_path / name).write_text("{}")
    for output, read in (("config.json", "model.safetensors"), ("s.json", "s.npz")):
        with pytest.raises(OutputError, match="would overwrite the input"):
            require_places([tmp_path / output], [tmp_path / read], overwrite=True)


def test_other_files_need_a_word(tmp_path: Path, photo: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.symlink_to(tmp_path / "nowhere")
    for path in (photo, broken):
        with pytest.raises(OutputError, match=rf"{path.name} is there already .* add --overwrite"):
            require_places([path])
        require_places([path], overwrite=True)
        require_places([path], may_replace=lambda found, path=path: found == path)
    with pytest.raises(OutputError, match=r"photo.png, .*broken.png are there already"):
        require_places([photo, broken, tmp_path / "new.png"])


def test_two_outputs_are_two_files(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="are the same file, and both would be written"):
        require_places([tmp_path / "a.json", tmp_path / "b" / ".." / "a.json"])


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("photo.png/out.json", "cannot be written: .*photo.png is no folder"),
        ("photo.png/deep/out.json", "cannot be written: .*photo.png is no folder"),
        ("folder", "folder is a folder; name a file in it"),
        ("x" * 251 + ".json", "cannot be written: File name too long"),
        ("y" * 300, "File name too long"),
    ],
)
def test_places_that_cannot_be_written(tmp_path: Path, photo: Path, place: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=message):
        require_places([tmp_path / place])


def test_a_file_system_that_refuses_is_asked() -> None:
    with pytest.raises(OutputError, match=r"/proc/out\.json cannot be written"):
        require_places([Path("/proc/out.json")])
    with pytest.raises(OutputError, match="/proc/new/folder cannot be written"):
        require_folder(Path("/proc/new/folder"))


def test_a_folder_is_no_file(photo: Path) -> None:
    with pytest.raises(OutputError, match=r"photo\.png is a file; name a folder"):
        require_folder(photo)
    with pytest.raises(OutputError, match="is no folder"):
        require_folder(photo / "deep")


def test_many_pictures_are_looked_at_quickly(tmp_path: Path) -> None:
    outputs = [tmp_path / f"{number}.png" for number in range(2000)]
    for path in outputs:
        path.touch()
    inputs = [path.rename(path.with_suffix(".jpg")) for path in outputs[:1000]]
    require_places(outputs, inputs, overwrite=True)


@pytest.mark.parametrize("stem", ["x" * 251, "あ" * 83, "é" * 125])
def test_names_may_be_as_long_as_file_systems_take(tmp_path: Path, stem: str) -> None:
    """Titles in Japanese take three bytes a letter."""
    path = tmp_path / f"{stem}.png"
    require_places([path])
    write_text(path, "written")
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", ["pipe", "device", "linked device", "stream"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_no_result_takes_the_place_of_what_is_no_file(tmp_path: Path, kind: str, overwrite: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    places = {"pipe": tmp_path / "pipe", "device": "/dev/null", "linked device": tmp_path / "null"}
    output = Path(places.get(kind, "/dev/../dev/stdout"))

    def looks_inside(path: Path) -> bool:
        raise AssertionError(f"{path} was opened; a pipe that nobody writes to is never read to its end")

    with pytest.raises(OutputError, match=r"is a pipe or a device, .* without --output"):
        require_places([output], overwrite=overwrite, may_replace=looks_inside)


@pytest.mark.parametrize("place", ["scores/probe/a/seed0.json", "samples/g/s/seed0.npz", "vqgan/manifest.json"])
def test_what_a_study_has_is_read_where_its_results_are_named(tmp_path: Path, place: str) -> None:
    for name in {place, "scores/probe/a/seed0.json"}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    with pytest.raises(OutputError, match="would overwrite the input"):
        require_places([tmp_path / place], [tmp_path], overwrite=True)
    (tmp_path / "numbers.csv").write_text("of before")
    require_places([tmp_path / "numbers.csv"], [tmp_path], overwrite=True)
