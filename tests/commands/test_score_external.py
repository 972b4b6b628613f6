"""Any tokenizer as a row: what another program made of the test images, scored by the protocol of all others.

The other program is Pillow: JPEG files at quality 10, which `titok score codec` measures, too.

Run: pytest tests/commands/test_score_external.py
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from commands.workbench import Workbench, record
from PIL import Image

from titok.commands.score_records import pixels_of
from titok.config.load import load_job
from titok.config.measuring_jobs import ScoreJob
from titok.data.opening import open_images
from titok.data.transforms import to_uint8
from titok.evaluation.codecs import encoded

ENTRY = {"reconstructions": "jpegs", "num_latent_tokens": 3, "codebook_size": 16, "source": "Pillow", "licence": "HPND"}


@pytest.fixture(scope="module")
def jpegs(bench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test images as files at quality 10, called like the images."""
    folder = tmp_path_factory.mktemp("external") / "jpegs"
    folder.mkdir()
    job = load_job(bench.config("score", "reconstructions"), ScoreJob)
    images = open_images(bench.test_data, job.dataset)
    pixels = torch.cat(list(pixels_of(images, job.dataset, 64)))
    for key, image in zip(images.keys, to_uint8(pixels, "round").permute(0, 2, 3, 1).numpy(), strict=True):
        (folder / f"{key}.jpg").write_bytes(encoded(image, "jpeg", 10).getvalue())
    return folder


def settings(bench: Workbench, folder: Path, **changes: object) -> Path:
    """Resolved settings as a study with such an entry would have them."""
    document = yaml.safe_load(bench.config("score", "reconstructions").read_text())
    config = folder / "external.yaml"
    config.write_text(yaml.safe_dump({**document, "name": "jpeg10", "external": {**ENTRY, **changes}}))
    return config


def scored(bench: Workbench, folder: Path, reconstructions: Path, **changes: object) -> dict[str, Any]:
    output = folder / f"{reconstructions.stem}.json"
    config, judge = settings(bench, folder, **changes), bench.model("judge")
    options = {"data": bench.test_data, "judge": judge, "device": "cpu", "output": output}
    bench.run("score", "external", config=config, reconstructions=reconstructions, **options)
    return record(output)


def test_a_folder_and_an_array_are_what_the_codec_itself_is(bench: Workbench, jpegs: Path, tmp_path: Path) -> None:
    folder = scored(bench, tmp_path, jpegs)
    pictures = sorted(jpegs.iterdir())
    array = tmp_path / "array.npz"
    np.savez(array, arr_0=np.stack([np.asarray(Image.open(file).convert("RGB")) for file in pictures]))
    assert scored(bench, tmp_path, array)["metrics"] == folder["metrics"]
    assert record(tmp_path / "array.json")["subject"] == folder["subject"]

    output = tmp_path / "codec.json"
    config, judge = bench.config("score", "reconstructions"), bench.model("judge")
    options = {"config": config, "data": bench.test_data, "judge": judge, "device": "cpu", "output": output}
    bench.run("score", "codec", codec="jpeg", quality=10, **options)
    codec = record(output)
    assert folder["protocol_id"] == codec["protocol_id"], "one table may show both"
    ours, theirs = ({**found["metrics"], "bits_per_image": None} for found in (folder, codec))
    assert ours == theirs
    assert folder["metrics"]["bits_per_image"]["value"] == 3 * 4
    subject = {"tokenizer": "jpeg10", "stage": "external", "recipe": "external", "source": "Pillow", "licence": "HPND"}
    assert subject.items() <= folder["subject"].items()


def test_names_or_their_order(bench: Workbench, jpegs: Path, tmp_path: Path) -> None:
    """The names of the originals need not be kept: then files are paired in the order of names, if that is said."""
    numbered = tmp_path / "numbered"
    numbered.mkdir()
    for place, file in enumerate(sorted(jpegs.iterdir())):
        shutil.copy(file, numbered / f"{place:05}.jpg")
    assert scored(bench, tmp_path, numbered, pairing="order")["metrics"] == scored(bench, tmp_path, jpegs)["metrics"]


def test_an_order_that_numbers_contradict_is_refused(bench: Workbench, jpegs: Path, tmp_path: Path) -> None:
    """10.jpg stands before 2.jpg as text: pictures would be held against others' originals, without a word."""
    numbered = tmp_path / "numbered"
    numbered.mkdir()
    for place, file in enumerate(sorted(jpegs.iterdir())):
        shutil.copy(file, numbered / f"{place}.jpg")
    with pytest.raises(SystemExit, match=r"10\.jpg before 2\.jpg as text, .*give all numbers the same length"):
        scored(bench, tmp_path, numbered, pairing="order")


def removed(folder: Path) -> None:
    (folder / f"{first(folder)}.jpg").unlink()


def doubled(folder: Path) -> None:
    shutil.copy(folder / f"{first(folder)}.jpg", folder / f"{first(folder)}.png")


def misnamed(folder: Path) -> None:
    (folder / f"{first(folder)}.jpg").rename(folder / "cat.jpg")


def resized(folder: Path) -> None:
    file = folder / f"{first(folder)}.jpg"
    Image.open(file).resize((24, 16)).save(file)


def damaged(folder: Path) -> None:
    (folder / f"{first(folder)}.jpg").write_bytes(b"not a picture")


def first(folder: Path) -> str:
    return min(file.stem for file in folder.iterdir())


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (removed, "1 without a reconstruction: {first}. A file is called like its image"),
        (doubled, "1 with several: {first}.jpg and {first}.png"),
        (misnamed, "1 without a reconstruction: {first}; 1 of no test image: cat.jpg"),
        (resized, "1 of 100 reconstructions are not of 16 x 16 pixels as their images are: {first}.jpg (24 x 16)"),
        (damaged, "{first}.jpg is no readable picture"),
    ],
)
def test_what_is_not_one_to_one_is_refused_by_name(
    bench: Workbench, jpegs: Path, tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    folder = tmp_path / "spoilt"
    shutil.copytree(jpegs, folder)
    name = first(folder)
    spoil(folder)
    output = tmp_path / "never.json"
    options = {"data": bench.test_data, "judge": bench.model("judge"), "device": "cpu", "output": output}
    refusal = bench.refusal("score", "external", config=settings(bench, tmp_path), reconstructions=folder, **options)
    assert said.format(first=name) in refusal
    assert not output.exists()


def test_an_array_of_another_length_or_size_is_refused(bench: Workbench, tmp_path: Path) -> None:
    short = tmp_path / "short.npz"
    np.savez(short, arr_0=np.zeros((99, 16, 16, 3), np.uint8))
    options = {"data": bench.test_data, "judge": bench.model("judge"), "device": "cpu", "output": tmp_path / "x.json"}
    refusal = bench.refusal("score", "external", config=settings(bench, tmp_path), reconstructions=short, **options)
    assert "(99, 16, 16, 3), there are 100 test images of 16 x 16 pixels" in refusal
