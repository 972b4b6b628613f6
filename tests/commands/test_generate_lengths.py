"""`titok generate` and `titok sample` with a generator whose samples have lengths of their own, and an ALIT.

Run: pytest tests/commands/test_generate_lengths.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from models.alit_toys import alit
from training.tiny import GENERATOR

import titok
from titok.cli import main
from titok.config.sampling import Sampler
from titok.data.transforms import to_uint8
from titok.models.generator import build_generator
from titok.models.image_tokenizer import Ids
from titok.runtime.files import load_npz

SAMPLER = Sampler(num_steps=3, guidance_scale=1.0, choice_temperature=4.5)
LENGTHS = {0: {2}, 1: {2, 4, 6, 8}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both models, of which class 2 is unknown to the generator, and a sampler."""
    root = tmp_path_factory.mktemp("lengths")
    generator = build_generator(GENERATOR.model_copy(update={"num_tokens": 8, "has_lengths": True}))
    generator.length_counts[0, 1], generator.length_counts[1, 1::2] = 5, 1
    titok.save(generator.eval(), root / "generator", layout="own")
    titok.save(alit(), root / "tokenizer", layout="own")
    (root / "sampler.yaml").write_text(yaml.safe_dump(SAMPLER.resolved()))
    return root


def run(*words: object) -> None:
    main([str(word) for word in words])


def generated(folder: Path, *more: object) -> None:
    models = ["--generator", folder / "generator", "--sampler", folder / "sampler.yaml", "--seed", 5]
    run("generate", *models, "--class", 0, 1, "--per-class", 8, *more)


def test_each_sample_is_written_as_long_as_it_is(folder: Path, tmp_path: Path) -> None:
    generated(folder, "--output", tmp_path / "tokens.json")
    samples = json.loads((tmp_path / "tokens.json").read_text())["samples"]
    found = {label: {len(one["tokens"]) for one in samples if one["class"] == label} for label in (0, 1)}
    assert found[0] == {2}
    assert len(found[1]) > 1
    assert found[1] <= LENGTHS[1]

    generated(folder, "--tokenizer", folder / "tokenizer", "--output", tmp_path / "all.npz", "--batch-size", 3)
    arrays = load_npz(tmp_path / "all.npz")
    assert arrays["lengths"].tolist() == [len(one["tokens"]) for one in samples]
    for one, tokens, length in zip(samples, arrays["tokens"], arrays["lengths"], strict=True):
        assert tokens[:length].tolist() == one["tokens"]
        assert not tokens[length:].any()
    model = titok.load(folder / "tokenizer")
    images = model.detokenize(Ids(*(torch.from_numpy(arrays[name]) for name in ("tokens", "lengths"))))
    expected = to_uint8(images, "truncate").permute(0, 2, 3, 1).numpy()
    assert np.abs(arrays["arr_0"].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("form", ["tokens.json", "all.npz"])
@pytest.mark.parametrize("classes", [(0,), (0, 1)])
def test_generated_tokens_are_decoded_at_their_lengths(
    folder: Path, tmp_path: Path, form: str, classes: tuple[int, ...]
) -> None:
    """Class 0 has samples of 2 tokens alone, of which the tokenizer could have 8."""
    models = ["--generator", folder / "generator", "--sampler", folder / "sampler.yaml", "--class", *classes]
    for output in {form, "all.npz"}:
        more = ["--tokenizer", folder / "tokenizer"] if output.endswith("npz") else []
        run("generate", *models, *more, "--per-class", 4, "--output", tmp_path / output)
    run("detokenize", tmp_path / form, "--model", folder / "tokenizer", "--output", tmp_path / "back.npz")
    assert np.array_equal(load_npz(tmp_path / "back.npz")["arr_0"], load_npz(tmp_path / "all.npz")["arr_0"])


@pytest.mark.parametrize("change", [{"length": 3}, {"length": 0, "tokens": []}, {"length": None}, {"tokens": [1]}])
def test_lengths_of_generated_tokens_that_cannot_be_are_refused(folder: Path, tmp_path: Path, change: dict) -> None:
    generated(folder, "--output", tmp_path / "tokens.json")
    document = json.loads((tmp_path / "tokens.json").read_text())
    document["samples"][0].update(change)
    (tmp_path / "tokens.json").write_text(json.dumps(document))
    with pytest.raises(SystemExit, match="TokenError"):
        run("detokenize", tmp_path / "tokens.json", "--model", folder / "tokenizer", "--output", tmp_path / "back.npz")
    assert not (tmp_path / "back.npz").exists()


def test_a_set_of_samples_keeps_lengths(folder: Path, tmp_path: Path) -> None:
    job = {"sampler": SAMPLER.resolved(), "num_samples": 12, "num_classes": 2, "batch_size": 5}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    models = [f"--{name}={folder / name / 'model.safetensors'}" for name in ("generator", "tokenizer")]
    run("sample", "--config", tmp_path / "job.yaml", *models, "--seed", 1, "--output", tmp_path / "samples.npz")
    arrays = load_npz(tmp_path / "samples.npz")
    assert arrays["arr_0"].shape == (12, 16, 16, 3)
    assert all(length in LENGTHS[label] for label, length in zip(arrays["labels"], arrays["lengths"], strict=True))


def test_a_class_that_was_never_seen_is_told(folder: Path, tmp_path: Path) -> None:
    models = ["--generator", folder / "generator", "--sampler", folder / "sampler.yaml"]
    with pytest.raises(
        SystemExit, match="class 2 had no image when the lengths of this generator's samples were counted"
    ):
        run("generate", *models, "--class", 1, 2, "--output", tmp_path / "tokens.json")
    assert not (tmp_path / "tokens.json").exists()
