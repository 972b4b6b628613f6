"""`titok score lengths` on its own: images of another kind, people's scores of complexity, and wrong files.

Run: pytest tests/commands/test_score_lengths.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from commands.workbench import Workbench, record
from models.alit_toys import alit

import titok
from titok.config.load import load_job
from titok.config.measuring_jobs import LengthsJob
from titok.data.opening import open_images
from titok.runtime.files import sha256_file

SECOND = {"label": "training images"}
THRESHOLD = 0.3


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ALIT whose images differ in the length they need."""
    folder = tmp_path_factory.mktemp("alit")
    titok.save(alit(), folder, layout="own")
    return folder / "model.safetensors"


def settings(bench: Workbench, folder: Path, **lengths: Any) -> Path:
    """What the workflow would write of a study with this section."""
    score = yaml.safe_load(bench.config("score").read_text())
    document = {name: score[name] for name in ("study", "dataset")}
    document["evaluation"] = {"extractor": score["evaluation"]["extractor"], "batch_size": 50}
    document["lengths"] = {"thresholds": [THRESHOLD], **lengths}
    path = folder / "lengths.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def options(bench: Workbench, folder: Path, model: Path, **lengths: Any) -> dict[str, Any]:
    return {
        "config": settings(bench, folder, **lengths),
        "data": bench.test_data,
        "model": model,
        "judge": bench.model("judge"),
        "subject": bench.targets.subject(tokenizer="two", stage="stage1", seed=0),
        "output": folder / "score.json",
    }


def test_images_of_another_file_stand_beside_the_test_images(bench: Workbench, several: Path, tmp_path: Path) -> None:
    """The training images, here: their own means, and the gap between both."""
    given = options(bench, tmp_path, several, second={**SECOND, "path": str(bench.train_data)})
    bench.run("score", "lengths", **given)
    found = record(tmp_path / "score.json")
    metrics = {name: entry["value"] for name, entry in found["metrics"].items()}
    tag = f"l1<{THRESHOLD}"
    gap = metrics[f"second_needed_length@{tag}"] - metrics[f"needed_length@{tag}"]
    assert metrics[f"familiarity_gap@{tag}"] == pytest.approx(gap)
    second = found["protocol"]["second"]
    assert (second["label"], second["split"], second["images"]) == ("training images", "train", 1697)
    alone = options(bench, tmp_path, several) | {"data": bench.train_data, "output": tmp_path / "alone.json"}
    bench.run("score", "lengths", **alone)
    expected = record(tmp_path / "alone.json")["metrics"]
    for name in ("l1@2", "rfid@4", f"mean_length@{tag}", f"met@{tag}"):
        assert metrics[f"second_{name}"] == pytest.approx(expected[name]["value"], rel=1e-6)
    assert "second" not in record(tmp_path / "alone.json")["protocol"]


def test_a_tokenizer_of_one_length_has_no_gap(bench: Workbench, tmp_path: Path) -> None:
    given = options(bench, tmp_path, bench.model("stage1"), second={**SECOND, "altered": "negative"})
    bench.run("score", "lengths", **given)
    names = record(tmp_path / "score.json")["metrics"].keys()
    assert "second_l1@2" in names
    assert not any(name.startswith("familiarity_gap") for name in names)


def test_another_file_than_the_study_states_is_refused(bench: Workbench, several: Path, tmp_path: Path) -> None:
    path = {"path": str(bench.train_data), "sha256": "0" * 64}
    given = options(bench, tmp_path, several, second={**SECOND, **path})
    said = bench.refusal("score", "lengths", **given)
    assert f"has SHA-256 {sha256_file(bench.train_data)}, but adaptive_length.second.sha256 is 000" in said
    missing = options(bench, tmp_path, several, second={**SECOND, "path": str(tmp_path / "none.index.npz")})
    assert "none.index.npz" in bench.refusal("score", "lengths", **missing)
    assert not (tmp_path / "score.json").exists()


def complexity_table(bench: Workbench, folder: Path) -> Path:
    """Made up, in SAVOIAS's layout: a line per image, scores from 0 to 100, some images missing, others of no set."""
    job = load_job(settings(bench, folder), LengthsJob, None)
    keys = open_images(bench.test_data, job.dataset).keys
    scores = np.random.default_rng(0).uniform(0, 100, len(keys))
    lines = [f"{key},{score:.2f},Scenes" for key, score in zip(keys[:80], scores, strict=False)]
    path = folder / "savoias.csv"
    # As spreadsheets save it: with a byte order mark and their own ends of lines.
    path.write_text("\r\n".join(["image,complexity,category", *lines, "elsewhere,50,Art"]), encoding="utf-8-sig")
    return path


def test_lengths_rank_with_people_s_scores(bench: Workbench, several: Path, tmp_path: Path) -> None:
    path = complexity_table(bench, tmp_path)
    stated = {"path": str(path), "sha256": sha256_file(path)}
    # Nothing meets that, so that each image gets the length that is best for it.
    bench.run("score", "lengths", **options(bench, tmp_path, several, complexity=stated, thresholds=[0.0001]))
    name = "rank_with_complexity@l1<0.0001"
    assert -1 <= record(tmp_path / "score.json")["metrics"][name]["value"] <= 1
    wrong = {"path": str(path), "sha256": "0" * 64}
    given = options(bench, tmp_path, several, complexity=wrong) | {"output": tmp_path / "no.json"}
    assert "but adaptive_length.complexity.sha256 is 000" in bench.refusal("score", "lengths", **given)


def test_a_threshold_can_be_what_another_tokenizer_reaches(bench: Workbench, several: Path, tmp_path: Path) -> None:
    """The mean by a tokenizer of two tokens: the same choice as by its number."""
    fixed, table = options(bench, tmp_path, bench.model("stage1"), thresholds=[], as_good_as=[2]), tmp_path / "two.csv"
    bench.run("score", "lengths", **fixed | {"per-image": table})
    mean = record(tmp_path / "score.json")["metrics"]["l1@2"]["value"]
    beside = {"beside": [table], "output": tmp_path / "as.json"}
    bench.run("score", "lengths", **options(bench, tmp_path, several, thresholds=[], as_good_as=[2]) | beside)
    found = {name: entry["value"] for name, entry in record(tmp_path / "as.json")["metrics"].items()}
    assert found["threshold@l1<K=2"] == pytest.approx(mean, rel=1e-6)
    given = options(bench, tmp_path, several, thresholds=[found["threshold@l1<K=2"]])
    bench.run("score", "lengths", **given | {"beside": [table], "output": tmp_path / "number.json"})
    by_number = record(tmp_path / "number.json")["metrics"]
    tag = f"l1<{found['threshold@l1<K=2']:g}"
    for name in ("mean_length", "met", "rfid", "l1", "share_of_2"):
        assert found[f"{name}@l1<K=2"] == by_number[f"{name}@{tag}"]["value"]
    label = record(tmp_path / "as.json")["metrics"]["mean_length@l1<K=2"]["label"]
    assert label == "tokens per image, l1<K=2"
    alone = options(bench, tmp_path, several, as_good_as=[2]) | {"output": tmp_path / "no.json"}
    said = bench.refusal("score", "lengths", **alone)
    assert "names 2 tokens, but the tables given with --beside are of none; give that of a tokenizer of 2" in said
