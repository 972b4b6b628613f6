"""Token files whose images have lengths of their own: `titok tokenize --quality`, `detokenize` and `titok tokens`.

Run: pytest tests/commands/test_lengths_in_files.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands.workbench import Workbench
from models.alit_toys import alit, alit_images
from PIL import Image
from training import tiny

import titok
from titok.cli import main
from titok.commands.token_files import TokenFile
from titok.data.tokens import TrainingTokens, load_tokens
from titok.data.transforms import to_uint8
from titok.errors import TokenError
from titok.models.alit import Alit
from titok.models.image_tokenizer import Ids
from titok.models.length_choice import choose_lengths, mean_absolute_error
from titok.models.tokenizer import TiTok
from titok.runtime.files import load_npz

KINDS = ["alit", "tail"]


def run(*words: object) -> None:
    main([*map(str, words), "--device", "cpu"])


def tail() -> TiTok:
    """A TiTok of 1 to 4 tokens with codes to tell apart."""
    torch.manual_seed(0)
    model = TiTok(tiny.tokenizer(tail_drop="uniform", num_latent_tokens=4))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(4.0)
    return model.eval().requires_grad_(False)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(kind: str, tmp_path: Path) -> TiTok | Alit:
    """Saved as ``model``."""
    found = alit() if kind == "alit" else tail()
    titok.save(found, tmp_path / "model", layout="own")
    return found


@pytest.fixture
def images(tmp_path: Path) -> torch.Tensor:
    """(12, 3, 16, 16), and PNG files of them in ``images``."""
    (tmp_path / "images").mkdir()
    pixels = to_uint8(alit_images(), "round")
    for place, image in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(image).save(tmp_path / "images" / f"{place:02d}.png")
    return pixels.float() / 255


def some_threshold(model: TiTok | Alit, images: torch.Tensor) -> float:
    """An L1 that some images meet by a short code, some by a longer one."""
    lengths = model.facts.lengths
    shortest = model.tokenize(images).values[:, : lengths[0]] if isinstance(model, TiTok) else None
    ids = Ids(shortest) if shortest is not None else model.tokenize(images, lengths[0])  # type: ignore[call-arg]
    measured = (model.detokenize(ids) - images).abs().mean(dim=(1, 2, 3)).sort().values
    return float(measured[len(measured) // 2 - 1 : len(measured) // 2 + 1].mean())


@pytest.mark.parametrize("ending", [".json", ".npz"])
def test_each_image_gets_the_code_it_needs_and_comes_back(
    tmp_path: Path, model: TiTok | Alit, images: torch.Tensor, ending: str
) -> None:
    threshold = some_threshold(model, images)
    expected = choose_lengths(model, images, mean_absolute_error(threshold))
    assert len(expected.lengths.unique()) > 1
    codes = tmp_path / f"codes{ending}"
    quality = ["--quality", f"l1={threshold!r}"]
    run("tokenize", tmp_path / "images", "--model", tmp_path / "model", "--output", codes, "--batch-size", 5, *quality)
    if ending == ".json":
        document = json.loads(codes.read_text())["images"]
        assert [image["length"] for image in document] == expected.lengths.tolist()
        for image, values, length in zip(document, expected.values, expected.lengths, strict=True):
            assert image["codes"] == values[:length].tolist()
    else:
        found = load_npz(codes)
        assert found["lengths"].tolist() == expected.lengths.tolist()
        assert (found["codes"] == expected.values.numpy()).all()
    run("detokenize", codes, "--model", tmp_path / "model", "--output", tmp_path / "back.npz", "--rounding", "round")
    back = load_npz(tmp_path / "back.npz")["arr_0"].astype(int)
    wanted = to_uint8(expected.images, "round").permute(0, 2, 3, 1).numpy()
    assert abs(back - wanted).max() <= 1  # other batches, other last bits


@pytest.mark.parametrize("change", [{"length": True}, {"codes": [True]}, {"length": 2, "codes": [3, False]}])
def test_true_is_no_number_in_a_file(tmp_path: Path, change: dict[str, Any]) -> None:
    """Python takes it for 1, as JSON and people do not."""
    image = {"name": "a", "length": 1, "codes": [3]} | change
    (tmp_path / "codes.json").write_text(json.dumps({"settings": {}, "images": [image]}))
    with pytest.raises(TokenError, match="image 0 has true or false where a number belongs"):
        TokenFile.open(tmp_path / "codes.json")


def test_without_a_quality_all_images_have_the_longest_code(
    tmp_path: Path, model: TiTok | Alit, images: torch.Tensor
) -> None:
    run("tokenize", tmp_path / "images", "--model", tmp_path / "model", "--output", tmp_path / "codes.npz")
    found = load_npz(tmp_path / "codes.npz")
    assert "lengths" not in found
    assert found["codes"].shape == (len(images), max(model.facts.lengths))


def test_images_that_no_length_satisfies_are_counted(
    tmp_path: Path, kind: str, model: TiTok | Alit, images: torch.Tensor, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["tokenize", tmp_path / "images", "--model", tmp_path / "model", "--batch-size", 2]
    run(*line, "--output", tmp_path / "a.json", "--quality", "l1=1e-9")
    told = f"{len(images)} of {len(images)} images have no length with l1 as asked (1e-09); they got the length that"
    assert told in capsys.readouterr().err
    run(*line, "--output", tmp_path / "b.json", "--quality", "l1=1000")
    assert "no length" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("quality", "said"),
    [
        ("l1", "is l1; allowed: l1=THRESHOLD, psnr=THRESHOLD, lpips=THRESHOLD, e.g. l1=0.05"),
        ("ssim=0.5", "is ssim=0.5; allowed: l1=THRESHOLD"),
        ("l1=0", "is 0; allowed: finite numbers above 0"),
        ("psnr=loud", "is loud; allowed: finite numbers above 0"),
    ],
)
def test_a_quality_that_says_nothing_is_refused(quality: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["tokenize", "photo.png", "--model", "m", "--output", "codes.json", "--quality", quality])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def refusal(*words: object) -> str:
    with pytest.raises(SystemExit) as caught:
        run(*words)
    return str(caught.value.code)


def test_a_tokenizer_of_one_length_says_what_to_do(tmp_path: Path, images: torch.Tensor) -> None:
    titok.save(TiTok(tiny.tokenizer()), tmp_path / "fixed", layout="own")
    line = ["tokenize", tmp_path / "images", "--model", tmp_path / "fixed", "--output", tmp_path / "codes.json"]
    said = refusal(*line, "--quality", "l1=0.05")
    assert "--quality is l1=0.05, but" in said
    assert "has one length, 4 tokens; leave --quality out, or name a tokenizer of several lengths (docs/" in said
    assert not (tmp_path / "codes.json").exists()


def test_lpips_takes_its_weights_and_nothing_else_does(
    tmp_path: Path, model: TiTok | Alit, images: torch.Tensor
) -> None:
    line = ["tokenize", tmp_path / "images", "--model", tmp_path / "model", "--output", tmp_path / "codes.json"]
    assert "--quality is lpips=0.2 and --lpips missing" in refusal(*line, "--quality", "lpips=0.2")
    assert "--quality is l1=0.2 and --lpips given" in refusal(*line, "--quality", "l1=0.2", "--lpips", "a", "b")
    assert "--lpips is given, but no --quality lpips" in refusal(*line, "--lpips", "a", "b")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"length": 3, "codes": [0, 0]}, "image 0 has length 3 and 2 codes"),
        ({"length": 5, "codes": [0, 0, 0, 0, 0]}, "has codes of length 5; this tokenizer reads"),
        ({"length": 0, "codes": []}, "has lengths from 0 to"),
        ({"length": 2.5, "codes": [0, 0]}, "image 0 has length 2.5 and 2 codes"),
    ],
)
def test_files_that_people_changed(
    tmp_path: Path, model: TiTok | Alit, images: torch.Tensor, change: dict[str, Any], said: str
) -> None:
    codes = tmp_path / "codes.json"
    options = ["--model", tmp_path / "model"]
    run("tokenize", tmp_path / "images", *options, "--output", codes, "--quality", "l1=0.0001")
    document = json.loads(codes.read_text())
    document["images"][0] |= change
    codes.write_text(json.dumps(document))
    assert said in refusal("detokenize", codes, *options, "--output", tmp_path / "out")


def test_lengths_that_the_tokenizer_cannot_read_are_refused(tmp_path: Path, images: torch.Tensor) -> None:
    model = alit()
    titok.save(model, tmp_path / "model", layout="own")
    codes = tmp_path / "codes.npz"
    options = ["--model", tmp_path / "model"]
    run("tokenize", tmp_path / "images", *options, "--output", codes, "--quality", "l1=0.0001")
    arrays = load_npz(codes)
    np.savez(codes, **{**arrays, "lengths": np.ones_like(arrays["lengths"])})
    lengths = ", ".join(map(str, model.config.lengths))
    said = refusal("detokenize", codes, *options, "--output", tmp_path / "out")
    assert f"has codes of length 1; this tokenizer reads {lengths}" in said


def test_the_store_of_tokens_has_lengths_where_the_study_chooses_them(bench: Workbench, tmp_path: Path) -> None:
    titok.save(tail(), tmp_path / "model", layout="own")
    config = tmp_path / "tokens.yaml"
    document = bench.config("tokens").read_text()
    # Half of the images come that near with one token, untrained as the model is; most others never do.
    config.write_text(f"{document}lengths: {{criterion: l1, otherwise: longest, threshold: 0.926}}\n")
    options = {"data": bench.train_data, "tokenizer": tmp_path / "model" / "model.safetensors"}
    bench.run("tokens", config=config, output=tmp_path / "tokens.npz", **options)
    found = load_tokens(tmp_path / "tokens.npz")
    assert found.lengths is not None
    assert found.tokens.shape == (1697, 2, 4)
    assert found.lengths.shape == (1697, 2)
    assert len(np.unique(found.lengths)) > 1
    after = np.arange(4) >= found.lengths[..., None]
    assert not found.tokens[after].any()
    assert found.tokens[~after].any()
    batch = TrainingTokens(found, batch_size=8, seed=0).batch(3)
    assert batch.lengths is not None
    assert not batch.tokens[torch.arange(4) >= batch.lengths[:, None]].any()

    whole = tmp_path / "whole.npz"
    bench.run("tokens", config=bench.config("tokens"), output=whole, **options)
    longest = load_tokens(whole)
    assert longest.lengths is None
    assert (longest.tokens[~after] == found.tokens[~after]).all()
    assert TrainingTokens(longest, batch_size=8, seed=0).batch(3).lengths is None
