"""A tokenizer that nobody here knows, added as docs/extending.md says: saved, opened, used and scored by every verb.

Run: pytest tests/commands/test_toy_tokenizer.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from commands.workbench import Workbench, record
from models.toy_tokenizer import Toy, ToyModel, toy_kind, write_toy  # noqa: F401 - a fixture
from PIL import Image
from torch import nn

import titok
from titok.cli import main
from titok.config.load import read_yaml
from titok.config.model import ClassifierModel, VQGANModel
from titok.data.transforms import eval_transform, to_uint8
from titok.models.classifier import Classifier
from titok.models.folder import load_image_tokenizer
from titok.models.image_tokenizer import ImageTokenizer
from titok.models.published import PublishedFormatError
from titok.models.vqgan import VQGAN
from titok.runtime.files import load_npz
from titok.runtime.weights import WeightsError

TOY_VQGAN = VQGANModel(
    channels=8, channel_multipliers=(1, 1), num_res_blocks=1, code_dim=8, codebook_size=16, norm_groups=4
)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    draws = np.random.default_rng(0)
    Image.fromarray(draws.integers(0, 256, (5, 7, 3), dtype=np.uint8)).resize((70, 50)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.usefixtures("toy_kind")
def test_it_is_saved_under_its_own_kind_and_comes_back(tmp_path: Path) -> None:
    model = write_toy(tmp_path / "toy", block=4)
    assert json.loads((tmp_path / "toy" / "config.json").read_text())["kind"] == "toy"
    for found in (titok.load(tmp_path / "toy"), load_image_tokenizer(tmp_path / "toy" / "model.safetensors")):
        assert type(found) is Toy
        assert found.config == model.config
        assert isinstance(found, ImageTokenizer)
    with pytest.raises(PublishedFormatError, match="the released code has no Toy"):
        titok.save(model, tmp_path / "released")


def test_every_kind_is_saved_as_what_it_is(tmp_path: Path) -> None:
    models = {"classifier": Classifier(ClassifierModel(num_classes=3)), "vqgan": VQGAN(TOY_VQGAN)}
    for kind, model in models.items():
        titok.save(model, tmp_path / kind, layout="own")
        assert json.loads((tmp_path / kind / "config.json").read_text())["kind"] == kind
        assert type(titok.load(tmp_path / kind)) is type(model)


def test_a_model_of_no_known_kind_is_not_saved_as_another(tmp_path: Path) -> None:
    for model in (Toy(ToyModel()), nn.Linear(2, 2)):
        with pytest.raises(WeightsError, match=r"is of no known kind .*; add it to titok\.models\.folder\.KINDS"):
            titok.save(model, tmp_path / "m", layout="own")
    assert not (tmp_path / "m").exists()


@pytest.mark.usefixtures("toy_kind")
def test_the_verbs_on_files_take_it(tmp_path: Path, picture: Path) -> None:
    model = write_toy(tmp_path / "toy")
    shared = ["--model", str(tmp_path / "toy"), "--device", "cpu"]
    main(["tokenize", str(picture), "--output", str(tmp_path / "codes.json"), *shared])
    images = eval_transform(Image.open(picture).convert("RGB"), 32, 32)[None]
    ids = model.tokenize(images)
    assert record(tmp_path / "codes.json")["images"][0]["codes"] == ids.values[0].tolist()
    main(["detokenize", str(tmp_path / "codes.json"), "--output", str(tmp_path / "d"), *shared])
    main(["reconstruct", str(picture), "--output", str(tmp_path / "r"), *shared])
    expected = to_uint8(model.detokenize(ids), "truncate")[0].permute(1, 2, 0).numpy()
    for folder in ("d", "r"):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / folder / "a.png")), expected)


@pytest.mark.usefixtures("toy_kind")
def test_it_is_scored_and_its_tokens_are_extracted(bench: Workbench, tmp_path: Path) -> None:
    model = write_toy(tmp_path / "toy", image_size=16, block=4)
    file = tmp_path / "toy" / "model.safetensors"
    shared = {"config": bench.config("score"), "data": bench.test_data, "judge": bench.model("judge")}
    line = {"model": file, "subject": '{"tokenizer": "toy", "stage": "mean", "seed": 0}'}
    bench.run("score", "reconstruction", **shared, **line, output=tmp_path / "score.json")
    metrics = record(tmp_path / "score.json")["metrics"]
    assert metrics["parameters"]["value"] == 1
    assert "encoder_parameters" not in metrics
    assert metrics["rfid"]["value"] > 0
    assert 0 < metrics["codebook_usage"]["value"] <= 1
    output = tmp_path / "tokens.npz"
    bench.run("tokens", config=bench.config("tokens"), data=bench.train_data, tokenizer=file, output=output)
    tokens = load_npz(output)["tokens"]
    assert tokens.shape[-1] == 16
    assert tokens.max() < model.config.codebook_size


@pytest.mark.usefixtures("toy_kind")
def test_it_is_probed(bench: Workbench, tmp_path: Path) -> None:
    write_toy(tmp_path / "toy", image_size=16, block=4)
    settings = read_yaml(bench.config("probe"))
    del settings["probe"]["readings"]  # of a width and of codes, which this tokenizer has not
    config = tmp_path / "probe.yaml"
    config.write_text(yaml.safe_dump(settings))
    line = {"config": config, "train": bench.train_data, "test": bench.test_data}
    line |= {"model": tmp_path / "toy" / "model.safetensors", "state": tmp_path / "state"}
    bench.run("score", "probe", subject='{"tokenizer": "toy", "seed": 0}', output=tmp_path / "p.json", **line)
    assert 0 <= record(tmp_path / "p.json")["metrics"]["linear_probe_top1"]["value"] <= 1


def test_what_is_no_tokenizer_is_refused(tmp_path: Path, picture: Path) -> None:
    titok.save(Classifier(ClassifierModel(num_classes=3)), tmp_path / "c", layout="own")
    with pytest.raises(SystemExit, match="holds a Classifier; a tokenizer or a VQGAN is needed"):
        main(["reconstruct", str(picture), "--model", str(tmp_path / "c"), "--output", str(tmp_path / "o")])
    with pytest.raises(WeightsError, match=r"is a classifier \(Classifier\), a tokenizer of images is needed"):
        load_image_tokenizer(tmp_path / "c" / "model.safetensors")
