"""docs/extending.md is true: each recipe is followed in a copy of the project, in as many files as the page says.

A step that edits a file begins with a link to it, `1. [`symbol`][file]: ...`. Run: pytest tests/extending
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from extending.kitchen import copy_with, run, titok
from extending.lengths_recipe import LENGTHS
from extending.recipes import DATASET, FIGURE, METRIC, ROOT, TABLE
from extending.toy_tokenizer_recipe import TOKENIZER

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
RECIPES = {
    "A tokenizer": TOKENIZER,
    "A tokenizer of several lengths": LENGTHS,
    "A dataset": DATASET,
    "A metric": METRIC,
    "A table": TABLE,
    "A figure": FIGURE,
}


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("title", RECIPES)
def test_the_page_names_the_files_that_a_recipe_edits(title: str) -> None:
    paths = dict(re.findall(r"^\[([^\]]+)\]: \.\./(\S+)$", PAGE, re.MULTILINE))
    steps = re.findall(r"^\d+\. \[`[^`]+`\]\[([^\]]+)\]", section(title), re.MULTILINE)
    recipe = RECIPES[title]
    assert {paths[name] for name in steps} == recipe.edited
    count = f"{len(recipe.new)} new and {len(recipe.edited)} that are there"
    assert f"Files of code: {count}." in section(title)


def study_with(folder: Path, key: str, value: Any) -> str:
    """The small study of the tests with one dotted key."""
    document = yaml.safe_load((ROOT / "tests" / "workflow" / "tiny.yaml").read_text())
    place = document
    *parents, last = key.split(".")
    for name in parents:
        place = place.setdefault(name, {})
    place[last] = value
    (folder / "study.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return "study.yaml"


def write_score(folder: Path, metrics: dict[str, float]) -> str:
    """A record of the tokenizer s2, made and checked by the copy."""
    subject = {"tokenizer": "s2", "stage": "stage1", "seed": 0, "num_latent_tokens": 2, "codebook_size": 16}
    protocol = {"extractor": {"kind": "classifier"}, "num_images": 4}
    code = (
        "import json, sys; from titok.records.record import score_record, write_record;"
        "subject, metrics, protocol = json.loads(sys.argv[1]);"
        "record = score_record('reconstruction', 'tiny', subject, metrics, protocol, {'created': 'now'});"
        "write_record('s.json', record)"
    )
    run(folder, "-c", code, json.dumps([subject, metrics, protocol]))
    return "s.json"


def test_a_table(tmp_path: Path) -> None:
    folder = copy_with(TABLE, tmp_path)
    row = {"label": "two tokens", "tokenizer": "s2", "stage": "stage1"}
    study = study_with(folder, "reporting.tables.pixels", {"rows": [row]})
    assert '"pixels"' in titok(folder, ["schema"])
    score = write_score(folder, {"psnr": 21.5, "rfid": 3.0})
    made = ["--study", study, "--scores", score, "--output", "out/pixels.csv"]
    titok(folder, ["check", study], ["table", "pixels", *made])
    assert "| two tokens |        2 |       21.50 |" in (folder / "out" / "pixels.md").read_text()


def test_a_figure(tmp_path: Path) -> None:
    folder = copy_with(FIGURE, tmp_path)
    study = study_with(folder, "reporting.figures.sharpness", [{"label": "two", "tokenizer": "s2", "stage": "stage1"}])
    score = write_score(folder, {"psnr": 21.5, "rfid": 3.0})
    made = ["--study", study, "--scores", score, "--output", "out/sharpness.svg"]
    titok(folder, ["check", study], ["figure", "sharpness", *made])
    assert (folder / "out" / "sharpness.svg").read_text().startswith("<?xml")
    assert (folder / "out" / "sharpness.csv").read_text().splitlines()[1].endswith("21.5")
    targets = "from titok.config.load import load_study; from titok.config.targets import Targets;"
    targets += "t = Targets(load_study('study.yaml')); print(t.figures('svg'), t.figure_scores('sharpness'))"
    said = run(folder, "-c", targets)
    assert "figures/sharpness.svg" in said
    assert "scores/reconstruction/s2/stage1/seed0.json" in said


def test_a_metric(tmp_path: Path) -> None:
    folder = copy_with(METRIC, tmp_path)
    code = """
import torch
from titok.config.evaluation import Evaluation, Extractor
from titok.config.model import ClassifierModel
from titok.evaluation.reconstruction import score_reconstructions
from titok.metrics.features import ClassifierExtractor
from titok.models.classifier import Classifier
from titok.models.image_tokenizer import Reconstruction
from titok.reporting.cells import heading, number

torch.manual_seed(0)
judge = ClassifierExtractor(Classifier(ClassifierModel(feature_dim=4)).eval(), "judge", "0")
images = torch.randint(20, 200, (16, 3, 16, 16)) / 255
settings = Evaluation(extractor=Extractor(kind="classifier", classifier="judge"), uncertainty={"resamples": 100})
found = score_reconstructions(lambda x: Reconstruction(x + 10 / 255), [images], judge, settings)
print(found.metrics["mean_error"], found.intervals["mean_error"].low, "mean_error" in found.protocol)
print(heading("mean_error"), number("mean_error", 10))
"""
    assert run(folder, "-c", code).splitlines() == ["10.0 10.0 True", "mean error ↓ 10.0"]
    row = {"label": "two", "tokenizer": "s2", "stage": "stage1"}
    study = study_with(folder, "reporting.tables", {"table3a": {"rows": [row]}})
    score = write_score(folder, {"mean_error": 10.0, "psnr": 21.5, "rfid": 3.0})
    titok(folder, ["table", "table3a", "--study", study, "--scores", score, "--output", "out/table3a.md"])
    assert "mean error (grey levels) ↓" in (folder / "out" / "table3a.md").read_text()


def test_a_dataset(tmp_path: Path) -> None:
    folder = copy_with(DATASET, tmp_path)
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (6, 20, 20, 3), dtype=np.uint8)
    for split in ("train", "test"):
        np.savez(folder / f"{split}.npz", images=images, labels=np.array([0, 1, 2, 3, 0, 1]))
    source = {"train": "train.npz", "test": "test.npz"}
    dataset = {"kind": "arrays", "arrays": source, "num_classes": 4, "resize": 20, "image_size": 16}
    study = study_with(folder, "dataset", dataset)
    resolved = ["resolve", study, "data", "all", "--output", "data.yaml"]
    titok(folder, ["check", study], resolved, ["prepare", "--config", "data.yaml", "--output", "data"])
    code = """
import numpy as np
from titok.config.data import Dataset
from titok.data.opening import open_images
from pathlib import Path
seen = Dataset(kind="arrays", num_classes=4, resize=20, image_size=20, in_memory=True)
found = open_images(Path("data/test.index.npz"), seen)
print(np.array_equal(found.pixels.permute(0, 2, 3, 1).numpy(), np.load("test.npz")["images"]), found.labels.tolist())
"""
    assert run(folder, "-c", code).split("\n")[0] == "True [0, 1, 2, 3, 0, 1]"
