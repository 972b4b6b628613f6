"""`titok tokenize`, `detokenize`, `reconstruct` and `generate` on files, with toy models in the released layout.

Run: pytest tests/commands/test_files.py
"""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from models.toy_releases import (  # noqa: F401 - a fixture
    CONFIGS,
    generator_config,
    toy_sizes,
    write_release,
)
from PIL import Image

import titok
from titok.cli import main
from titok.commands.image_files import ImageFileError, image_files, read_image
from titok.config.sampling import PUBLISHED_SAMPLERS
from titok.data.transforms import eval_transform, to_uint8
from titok.models.image_tokenizer import Ids
from titok.runtime.files import load_npz

pytestmark = pytest.mark.usefixtures("toy_sizes")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Images of several sizes, modes and formats."""
    folder = tmp_path / "photos"
    folder.mkdir()
    draws = np.random.default_rng(0)
    for name, mode, size in (
        ("wide.png", "RGB", (71, 40)),
        ("tall.jpg", "RGB", (33, 90)),
        ("small.png", "L", (20, 20)),
        ("clear.png", "RGBA", (32, 32)),
        ("fits.webp", "RGB", (32, 32)),
    ):
        channels = {"RGB": 3, "L": 1, "RGBA": 4}[mode]
        array = draws.integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
        Image.fromarray(array.squeeze(), mode if channels != 1 else None).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def expected_images(photos: Path) -> torch.Tensor:
    files = sorted(file for file in photos.iterdir() if file.suffix != ".txt")
    return torch.stack([eval_transform(Image.open(file).convert("RGB"), 32, 32) for file in files])


def run(*words: object) -> None:
    main([*map(str, words), "--device", "cpu"])


@pytest.mark.parametrize("ending", [".json", ".npz"])
@pytest.mark.parametrize("name", ["two_stage", "vae", "vqgan"])
def test_images_to_codes_and_back(tmp_path: Path, photos: Path, name: str, ending: str) -> None:
    write_release(tmp_path / "model", name)
    model = titok.load(tmp_path / "model")
    size = ["--size", 32] if name == "vqgan" else []
    codes = tmp_path / f"codes{ending}"
    run("tokenize", photos, "--model", tmp_path / "model", "--output", codes, "--batch-size", 2, *size)
    images = expected_images(photos)
    with torch.no_grad():
        expected = model.posterior(images).mean if name == "vae" else model.tokenize(images).values
    if ending == ".json":
        document = json.loads(codes.read_text())
        found = np.array([image["codes"] for image in document["images"]])
        names = [Path(image["name"]).name for image in document["images"]]
    else:
        found, names = load_npz(codes)["codes"], [Path(text).name for text in load_npz(codes)["names"]]
    assert names == ["clear.png", "fits.webp", "small.png", "tall.jpg", "wide.png"]
    assert found.shape == tuple(expected.shape)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)

    for rounding in ("truncate", "round"):
        folder = tmp_path / rounding
        run("detokenize", codes, "--model", tmp_path / "model", "--output", folder, "--rounding", rounding)
        read = torch.from_numpy(np.asarray(found, expected.numpy().dtype))
        decoded = to_uint8(model.decode(read) if name == "vae" else model.detokenize(Ids(read)), rounding)
        assert sorted(file.name for file in folder.iterdir()) == [f"{Path(text).stem}.png" for text in names]
        for text, image in zip(names, decoded, strict=True):
            pixels = np.asarray(Image.open(folder / f"{Path(text).stem}.png")).transpose(2, 0, 1).astype(int)
            assert abs(pixels - image.numpy()).max() <= 1  # other batches, other last bits

    archive = tmp_path / "images.npz"
    run("reconstruct", photos, "--model", tmp_path / "model", "--output", archive, *size)
    found = load_npz(archive)["arr_0"]
    assert found.dtype == np.uint8
    truncated = np.stack([np.asarray(Image.open(tmp_path / "truncate" / f"{Path(text).stem}.png")) for text in names])
    assert abs(found.astype(int) - truncated).max() <= 1


@pytest.mark.parametrize("name", ["two_stage", "vqgan"])
def test_what_is_no_number_has_no_ids(tmp_path: Path, photos: Path, name: str) -> None:
    """The nearest code of NaN is the first one: every image had the ids 0 0 0 0."""
    write_release(tmp_path / "release", name)
    model = titok.load(tmp_path / "release")
    largest = max(model.encoder.parameters(), key=lambda weight: weight.numel())
    with torch.no_grad():
        largest.mul_(1e38)  # finite as it is stored, and infinite once it is multiplied
    titok.save(model, tmp_path / "model")
    size = ["--size", 32] if name == "vqgan" else []
    for verb in ("tokenize", "reconstruct"):
        with pytest.raises(SystemExit, match="gave latents that are no finite numbers, so they have no ids"):
            run(verb, photos, "--model", tmp_path / "model", "--output", tmp_path / f"{verb}.npz", *size)
        assert not (tmp_path / f"{verb}.npz").exists()


def test_bfloat16_changes_little_and_something(tmp_path: Path, photos: Path) -> None:
    write_release(tmp_path / "model", "vae")
    arrays = {}
    for precision in ("fp32", "bf16"):
        output = tmp_path / f"{precision}.npz"
        run("tokenize", photos, "--model", tmp_path / "model", "--output", output, "--precision", precision)
        arrays[precision] = load_npz(output)["codes"]
    assert arrays["bf16"].dtype == np.float32
    assert 0 < abs(arrays["bf16"] - arrays["fp32"]).max() < 0.3


def write_sampler(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps(PUBLISHED_SAMPLERS["titok-b-64"].resolved() | changes))
    return path


def two_of_two_classes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Options of `titok generate` for a generator in ``folder``, and beside it the tokenizer it fits."""
    write_release(folder / "generator", "vit")
    monkeypatch.setitem(CONFIGS["two_stage"][1]["model"]["vq_model"], "codebook_size", 64)
    monkeypatch.setitem(CONFIGS["two_stage"][1]["model"]["vq_model"], "num_latent_tokens", 16)
    write_release(folder / "tokenizer", "two_stage")
    wanted = ["--generator", folder / "generator", "--class", 7, 1, "--per-class", 2, "--seed", 3]
    return [*wanted, "--sampler", write_sampler(folder / "sampler.yaml")]


def test_classes_to_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = two_of_two_classes(tmp_path, monkeypatch)
    run("generate", *shared, "--output", tmp_path / "tokens.json")
    document = json.loads((tmp_path / "tokens.json").read_text())
    assert [sample["class"] for sample in document["samples"]] == [7, 7, 1, 1]
    generator = titok.load(tmp_path / "generator")
    expected = titok.generate(generator, [7, 7, 1, 1], "titok-b-64", seed=3)
    assert [sample["tokens"] for sample in document["samples"]] == expected.tolist()

    shared += ["--tokenizer", tmp_path / "tokenizer"]
    run("generate", *shared, "--output", tmp_path / "all.npz", "--batch-size", 3)
    arrays = load_npz(tmp_path / "all.npz")
    assert arrays["labels"].tolist() == [7, 7, 1, 1]
    assert arrays["tokens"].tolist() == expected.tolist()
    images = titok.load(tmp_path / "tokenizer").detokenize(Ids(expected))
    decoded = to_uint8(images, "truncate").permute(0, 2, 3, 1).numpy()
    assert abs(arrays["arr_0"].astype(int) - decoded).max() <= 1
    run("generate", *shared, "--output", tmp_path / "pngs")
    names = ["class0001_seed3_000", "class0001_seed3_001", "class0007_seed3_000", "class0007_seed3_001"]
    assert sorted(file.stem for file in (tmp_path / "pngs").iterdir()) == names
    first = np.asarray(Image.open(tmp_path / "pngs/class0007_seed3_000.png")).astype(int)
    assert abs(first - decoded[0]).max() <= 1


MISTAKES = {
    "no image": ("tokenize {photos}/notes.txt --model {model} --output {out}.json", "notes.txt is no readable image"),
    "no file": ("tokenize {photos}/gone.png --model {model} --output {out}.json", "gone.png is no file or folder"),
    "empty folder": ("reconstruct {empty} --model {model} --output {out}", "holds no images"),
    "a generator": ("reconstruct {photos} --model {generator} --output {out}", "holds a MaskGITViT; a tokenizer or"),
    "size": ("reconstruct {photos} --model {model} --output {out} --size 64", "--size is 64, but this tokenizer"),
    "twice": ("reconstruct {photos} {photos} --model {model} --output {out}", "5 pictures are named twice"),
    "same stem": ("reconstruct {photos} {twin} --model {model} --output {out}", "1 names stand for several images"),
    "other codes": ("detokenize {codes} --model {vae} --output {out}", "written by another tokenizer (differing: "),
    "no codes": ("detokenize {photos}/codes.json --model {model} --output {out}", "is no file of `titok tokenize` or"),
    "no tokenizer": ("generate --class 1 --generator {generator} --sampler titok-l-32 --output {out}", "--tokenizer"),
    "misfit": (
        "generate --class 1 --generator {generator} --tokenizer {model} --sampler titok-l-32 --output {out}",
        "the generator makes 16 tokens of 64 codes",
    ),
    "no sampler": ("generate --class 1 --generator {generator} --output {out}.json", "name one with --sampler"),
    "no class": ("generate --class 10 --generator {generator} --sampler titok-l-32 --output {out}.json", "label 10"),
    "no generator": ("generate --class 1 --generator {model} --output {out}.json", "a generator is needed"),
}


@pytest.fixture
def places(tmp_path: Path, photos: Path) -> dict[str, Path]:
    (tmp_path / "empty").mkdir()
    (tmp_path / "twin").mkdir()
    shutil.copy(photos / "tall.jpg", tmp_path / "twin" / "wide.jpg")
    (photos / "codes.json").write_text('{"images": [1]}')
    for name, release in (("model", "two_stage"), ("generator", "vit"), ("vae", "vae")):
        write_release(tmp_path / name, release)
    run("tokenize", photos / "wide.png", "--model", tmp_path / "model", "--output", tmp_path / "codes.json")
    return {name: tmp_path / name for name in ("model", "generator", "vae", "empty", "twin", "photos", "out")} | {
        "codes": tmp_path / "codes.json"
    }


def test_mistakes_are_plain_messages(places: dict[str, Path]) -> None:
    for line, message in MISTAKES.values():
        with pytest.raises(SystemExit) as caught:
            run(*line.format(**places).split())
        assert message in str(caught.value.code), line
        assert not list(places["out"].parent.glob("out*")), line


def test_tokens_out_of_range(places: dict[str, Path]) -> None:
    document = json.loads(places["codes"].read_text())
    document["images"][0]["codes"][2] = 32
    places["codes"].write_text(json.dumps(document))
    with pytest.raises(SystemExit, match="has tokens from 0 to 32; allowed: 0 to 31"):
        run("detokenize", places["codes"], "--model", places["model"], "--output", places["out"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": [1, 2, 3.5, 4]}, "has tokens of type float64; tokens are whole numbers"),
        ({"codes": [1, 2, 3]}, r"has codes of shape \(1, 3\), but its own settings say num_latent_tokens 4"),
        ({"name": ""}, "no file can be called after an image named ''"),
        ({"name": "folder/"}, "no file can be called after an image named ''"),
        ({"name": ".."}, "no file can be called after an image named '.'"),
        ({"name": "a\0b.png"}, r"no file can be called after an image named 'a\\x00b'"),
    ],
)
def test_token_files_that_people_changed(places: dict[str, Path], change: dict[str, Any], message: str) -> None:
    document = json.loads(places["codes"].read_text())
    document["images"][0] |= change
    places["codes"].write_text(json.dumps(document))
    with pytest.raises(SystemExit, match=message):
        run("detokenize", places["codes"], "--model", places["model"], "--output", places["out"])
    assert not places["out"].exists()


@pytest.mark.parametrize("name", ["scan.tif", "moving.gif", "moving.png"])
def test_of_several_pictures_the_first_is_taken_with_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:])
    assert read_image(tmp_path / name).getpixel((0, 0)) == (255, 0, 0)
    assert capsys.readouterr().err == f"{tmp_path / name} holds 3 pictures; the first is taken\n"


@pytest.mark.parametrize(
    "line",
    [
        "tokenize a.png --model m --output tokens.txt",
        "tokenize a.png --model m --output t.json --batch-size 0",
        "reconstruct a.png --model m --output o --precision fp8",
        "generate --class dog --generator g --output o",
    ],
)
def test_wrong_options_end_before_any_work(line: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(line.split())
    assert caught.value.code == 2


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    write_release(tmp_path / "model", "two_stage")
    return tmp_path / "model"


def tokens_of(output: Path) -> dict[str, list[int]]:
    """Base name -> codes."""
    return {Path(image["name"]).name: image["codes"] for image in json.loads(output.read_text())["images"]}


def test_everything_that_pillow_reads_is_taken_and_the_rest_is_said(
    tmp_path: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    names = ["a.jpg", "b.jfif", "c.JPE", "d.avif", "e.jp2", "f.ppm", "g.tga", "h.qoi"]
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    for name in names:
        image.save(folder / name)
    for name in ("notes.txt", "movie.mpg", "drawing.eps"):
        (folder / name).write_bytes(b"x")
    (folder / "more").mkdir()
    run("tokenize", folder, "--model", tokenizer, "--output", tmp_path / "t.json")
    assert list(tokens_of(tmp_path / "t.json")) == names
    said = capsys.readouterr().err
    assert "pictures: left out what is no picture by its name: drawing.eps, more/, movie.mpg, notes.txt" in said


def test_files_of_operating_systems_are_passed_over(
    tmp_path: Path, photos: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = [path.name for path in sorted(photos.iterdir()) if path.suffix != ".txt"]
    for name in ("._tall.jpg", ".hidden.png", "Thumbs.db", "desktop.ini"):
        (photos / name).write_bytes(b"system")
    (photos / "@eaDir").mkdir()
    (photos / "@eaDir" / "tall.jpg").write_bytes(b"thumbnail")
    run("tokenize", photos, "--model", tokenizer, "--output", tmp_path / "folder.json")
    assert list(tokens_of(tmp_path / "folder.json")) == expected
    assert "Thumbs.db" not in capsys.readouterr().err
    (photos / "notes.txt").unlink()
    named = [path for path in sorted(photos.iterdir()) if path.name != ".hidden.png"]  # a shell's *, and ._tall.jpg
    run("tokenize", *named, "--model", tokenizer, "--output", tmp_path / "named.json")
    assert tokens_of(tmp_path / "named.json") == tokens_of(tmp_path / "folder.json")
    with pytest.raises(SystemExit) as caught:
        run("tokenize", photos / "Thumbs.db", "--model", tokenizer, "--output", tmp_path / "none.json")
    assert "files of an operating system, and no images" in str(caught.value) + capsys.readouterr().err


def message_of(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What a command that fails says."""
    with pytest.raises(SystemExit) as caught:
        run(*words)
    return f"{caught.value}{capsys.readouterr().err}"


def test_all_bad_files_are_named_at_once_before_any_model_is_loaded(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "page.png").write_text("<html>")
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "gone.png").symlink_to(tmp_path / "nowhere.png")
    Image.fromarray(np.eye(9, dtype=np.float32)).save(photos / "depth.tif")
    said = message_of(
        capsys,
        "tokenize",
        photos,
        tmp_path / "x.png",
        "--model",
        tmp_path / "no model",
        "--output",
        tmp_path / "t.json",
    )
    assert "5 files cannot be read:" in said
    for words in (
        "page.png is no readable image",
        "empty.jpg is no readable image",
        f"gone.png is a dangling link: {tmp_path}/nowhere.png does not exist",
        "depth.tif cannot be read as a picture: its pixels are floating-point numbers (from 0 to 1)",
        "x.png is no file or folder; check the path",
    ):
        assert words in said


@pytest.mark.parametrize("verb", ["tokenize", "reconstruct"])
def test_all_files_cut_short_are_named_at_once(
    tmp_path: Path, photos: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    for name in ("tall.jpg", "wide.png"):
        data = (photos / name).read_bytes()
        (photos / name).write_bytes(data[: len(data) // 2])
    output = ("--output", tmp_path / "out.json" if verb == "tokenize" else tmp_path / "out.npz")
    said = message_of(capsys, verb, photos, "--model", tokenizer, *output, "--batch-size", 1)
    assert "2 files cannot be read:" in said
    assert "tall.jpg is no readable image" in said
    assert "wide.png is no readable image" in said
    assert not list(tmp_path.glob("out*"))


def test_16_bits_are_scaled_and_not_cut_off(tmp_path: Path, tokenizer: Path) -> None:
    ramp = np.linspace(0, 255, 64 * 64).round().reshape(64, 64)
    Image.fromarray(ramp.astype(np.uint8)).save(tmp_path / "eight.png")
    for name in ("sixteen.png", "sixteen.tif", "sixteen.pgm"):
        Image.fromarray((257 * ramp).astype(np.uint16)).save(tmp_path / name)
    files = [tmp_path / name for name in ("eight.png", "sixteen.png", "sixteen.tif", "sixteen.pgm")]
    run("tokenize", *files, "--model", tokenizer, "--output", tmp_path / "t.json")
    codes = list(tokens_of(tmp_path / "t.json").values())
    assert codes == [codes[0]] * 4


def test_12_bits_in_16_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.linspace(0, 4000, 64 * 64).astype(np.uint16).reshape(64, 64)).save(tmp_path / "xray.png")
    read_image(tmp_path / "xray.png")
    said = capsys.readouterr().err
    assert "xray.png: its 16 bits a channel hold values from 0 to 4000 only, as pictures of 12 bits do" in said


def test_what_is_named_twice_is_refused(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever way it is named; a link of another name is another picture."""
    monkeypatch.chdir(photos.parent)
    (photos / "link.png").symlink_to("wide.png")
    (photos.parent / "same").symlink_to(photos, target_is_directory=True)
    wide = Path("photos/wide.png")
    assert photos / "link.png" in image_files([photos])
    for again in (wide, Path("photos/../photos/wide.png"), photos / "wide.png", Path("same")):
        with pytest.raises(ImageFileError, match=r"^photos/wide\.png is named twice(, as .*)?; name it once"):
            image_files([wide, again])
    with pytest.raises(ImageFileError, match="6 pictures are named twice:"):
        image_files([photos, Path("same")])


@pytest.mark.parametrize("error", [RuntimeError("decoder"), IndexError("tile"), struct.error("header"), OSError("cut")])
def test_damage_of_any_kind_is_a_plain_message(
    photos: Path,
    tokenizer: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """Damaged AVIF raises RuntimeError, for one."""
    monkeypatch.setattr(Image.Image, "load", mock.Mock(side_effect=error))
    output = photos.parent / "t.json"
    said = message_of(capsys, "tokenize", photos / "fits.webp", "--model", tokenizer, "--output", output)
    assert f"fits.webp is no readable image ({error}); remove it or convert it to PNG" in said


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a generator, its tokenizer and what they made: tokens.json, all.npz and pngs."""
    shared = [*two_of_two_classes(tmp_path, monkeypatch), "--tokenizer", tmp_path / "tokenizer"]
    for name in ("tokens.json", "all.npz", "pngs"):
        run("generate", *shared, "--output", tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", ["tokens.json", "all.npz"])
def test_generated_tokens_are_decoded_to_the_generated_images(generated: Path, name: str) -> None:
    run("detokenize", generated / name, "--model", generated / "tokenizer", "--output", generated / "again")
    pictures = sorted((generated / "pngs").iterdir())
    assert [path.name for path in sorted((generated / "again").iterdir())] == [path.name for path in pictures]
    for path in pictures:
        found, expected = (np.asarray(Image.open(generated / folder / path.name)) for folder in ("again", "pngs"))
        assert abs(found.astype(int) - expected).max() <= 1


def test_generated_tokens_need_a_tokenizer_of_their_kind(generated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONFIGS["two_stage"][1]["model"]["vq_model"], "num_latent_tokens", 4)
    write_release(generated / "other", "two_stage")
    write_release(generated / "vae", "vae")
    for name in ("other", "vae"):
        with pytest.raises(SystemExit, match=r"has generated tokens of shape \(4, 16\); this TiTok reads 4 "):
            run("detokenize", generated / "tokens.json", "--model", generated / name, "--output", generated / "no")
    monkeypatch.setitem(CONFIGS["two_stage"][1]["model"]["vq_model"], "num_latent_tokens", 16)
    monkeypatch.setitem(CONFIGS["two_stage"][1]["model"]["vq_model"], "codebook_size", 32)
    write_release(generated / "small", "two_stage")
    with pytest.raises(SystemExit, match="allowed: 0 to 31"):
        run("detokenize", generated / "tokens.json", "--model", generated / "small", "--output", generated / "no")
