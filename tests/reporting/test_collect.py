"""Score records become one tidy frame; statistics over seeds; two protocols are never mixed; errors name the file.

Run: pytest tests/reporting/test_collect.py
"""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from titok.errors import ScoreError
from titok.reporting.collect import MissingScore, flatten, read_scores, statistic
from titok.reporting.narrative import BestSamples, best_samples
from titok.reporting.runs import read_manifests, read_metrics_log
from titok.runtime.files import FileError


def test_one_row_per_record_with_subject_and_metrics(tree):
    frame = read_scores(tree.scores).frame
    assert len(frame) == len(tree.scores)
    record = frame[(frame["tokenizer"] == "l2") & (frame["stage"] == "stage2") & (frame["seed"] == 1)].iloc[0]
    written = json.loads((tree.root / "scores/reconstruction/l2/stage2/seed1.json").read_text())
    assert record["rfid"] == written["metrics"]["rfid"]["value"]
    assert record["size"] == "l"
    assert record["kind"] == "reconstruction"
    assert record["protocol_id"] == written["protocol_id"]


def test_labels_come_from_the_records(tree):
    scores = read_scores(tree.scores)
    assert scores.label("rfid").label == "digits-rFID"
    assert scores.label("rfid").better == "lower"
    assert scores.label("psnr").unit == "dB"
    assert scores.label("never_measured").label == "never_measured"


def test_percentages_become_fractions(tree):
    path = tree.root / "scores/reconstruction/l2/stage2/seed0.json"
    record = json.loads(path.read_text())
    record["metrics"]["classifier_accuracy"] |= {"value": 77.0, "unit": "%"}
    path.write_text(json.dumps(record))
    assert read_scores([path]).frame["classifier_accuracy"].iloc[0] == pytest.approx(0.77)


@pytest.mark.parametrize("values", [[1.0, 3.0], [2.0, 2.5, 7.0]])
def test_statistic_agrees_with_numpy(values):
    found = statistic(pd.Series(values))
    assert found is not None
    assert (found.n, found.minimum, found.maximum) == (len(values), min(values), max(values))
    assert found.mean == pytest.approx(np.mean(values))
    assert found.std == pytest.approx(np.std(values, ddof=1))


def test_statistic_of_one_seed_has_no_spread():
    found = statistic(pd.Series([4.0]))
    assert found is not None
    assert math.isnan(found.std)


def test_a_nan_seed_is_not_averaged_away():
    found = statistic(pd.Series([1.0, math.nan]))
    assert found is not None
    assert math.isnan(found.mean)
    assert statistic(pd.Series([math.nan, math.nan])) is None


def test_two_protocols_in_a_column_are_refused_with_files_and_keys(tree):
    other = {"num_images": 400, "rounding": "round", "extractor": {"kind": "classifier", "sha256": "cd" * 32}}
    subject = {"tokenizer": "l2", "stage": "stage2", "seed": 1}
    path = tree.score("reconstruction/l2/stage2/seed1", "reconstruction", subject, {"rfid": 1.0}, other)
    scores = read_scores(tree.scores)
    with pytest.raises(ScoreError) as caught:
        scores.require_one_protocol(scores.select("reconstruction", tokenizer="l2", stage="stage2"), "digits-rFID")
    message = str(caught.value)
    assert str(path) in message
    assert "seed0.json" in message
    assert "num_images: 500 and 400" in message
    assert "extractor.sha256" in message
    assert "rounding" not in message


def test_missing_score_names_the_file_it_would_lie_in(tree):
    scores = read_scores(tree.scores)
    with pytest.raises(MissingScore, match=r"scores/reconstruction/l3/stage2/seed\*\.json"):
        scores.select("reconstruction", tokenizer="l3", stage="stage2")
    with pytest.raises(MissingScore, match=r"scores/generation/l9-vit/eight/seed\*\.json"):
        scores.select("generation", generator="l9-vit", sampler="eight")
    with pytest.raises(MissingScore, match=r"scores/probe/l3/seed"):
        read_scores([]).select("linear_probe", tokenizer="l3")


def test_records_that_cannot_be_used_are_named(tree):
    incomplete = tree.json("scores/broken.json", {"kind": "reconstruction", "metrics": {}})
    with pytest.raises(ScoreError, match=r"broken\.json.*lacks subject, protocol, protocol_id"):
        read_scores([incomplete])
    with pytest.raises(FileError, match=r"gone\.json"):
        read_scores([tree.root / "gone.json"])
    strange = tree.score("strange", "colour", {}, {})
    with pytest.raises(ScoreError, match=r"kind is 'colour'; allowed: reconstruction"):
        read_scores([strange])


def test_one_metric_under_two_names_is_refused(tree):
    path = tree.root / "scores/reconstruction/l2/stage2/seed1.json"
    record = json.loads(path.read_text())
    record["metrics"]["rfid"]["label"] = "rFID"
    path.write_text(json.dumps(record))
    with pytest.raises(ScoreError, match=r"'rFID'.*'digits-rFID'"):
        read_scores(tree.scores)


def test_values_that_are_no_numbers_are_remembered(tree):
    tree.edit("reconstruction/s1/stage1/seed0", "psnr", None)
    tree.edit("reconstruction/s1/stage1/seed1", "psnr", math.inf)
    faults = read_scores(tree.scores).non_finite
    assert [(fault.metric, fault.value) for fault in faults] == [("psnr", None), ("psnr", math.inf)]


def test_the_best_samples_are_those_read_best_among_the_runs_named(tree):
    """Not those of the best gFID, which stand nowhere on a page that says how many are read."""
    tree.edit("generation/l1-vit/unguided/seed0", "class_agreement", 0.999)
    scores = read_scores(tree.scores)
    every = [(f"l{k}-vit", sampler) for k in (1, 2, 4, 8) for sampler in ("eight", "unguided")]
    assert best_samples(scores, every) == BestSamples("l1-vit", "unguided", 0.999)
    assert best_samples(scores, [("l2-vit", "eight")]) == BestSamples("l2-vit", "eight", 0.97 - 0.04)
    assert best_samples(scores, [("nobody", "eight")]) is None
    assert best_samples(read_scores([]), every) is None


def test_what_each_seed_gave(tree):
    records = read_scores(tree.scores).select("reconstruction", tokenizer="s1", stage="stage1")
    scores = read_scores(tree.scores)
    assert scores.by_seed(records, "rfid") == pytest.approx({0: 23.8, 1: 24.2})
    assert scores.by_seed(records, "gfid") == scores.by_seed(records, "nothing") == {}


def test_metrics_log_keeps_the_last_of_repeated_steps(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 50, "loss": 3.0}\n{"step": 100, "loss": 2.0}\n\n{"step": 100, "loss": 1.5}\n')
    log = read_metrics_log(path)
    assert log["step"].tolist() == [50, 100]
    assert log["loss"].tolist() == [3.0, 1.5]


def test_metrics_log_errors_name_the_file(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with pytest.raises(MissingScore, match=r"metrics\.jsonl: no such metrics log"):
        read_metrics_log(path)
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    with pytest.raises(ScoreError, match="not JSON"):
        read_metrics_log(path)
    path.write_text('{"loss": 2.0}\n')
    with pytest.raises(ScoreError, match="no `step`"):
        read_metrics_log(path)


def test_manifests(tree):
    manifests = read_manifests(tree.manifests)
    assert len(manifests) == len(tree.manifests)
    assert manifests["wall_seconds"].sum() == 30.0 * len(manifests)
    with pytest.raises(ScoreError, match="no `task`"):
        read_manifests([tree.json("manifest2.json", {})])


def test_flatten():
    assert flatten({"a": {"b": {"c": 1}, "d": 2}, "e": [3]}) == {"a.b.c": 1, "a.d": 2, "e": [3]}


def test_reads_what_the_evaluation_writes(tmp_path):
    from titok.records.record import score_record, write_record

    protocol = {"num_images": 500, "extractor": {"kind": "classifier"}}
    subject = {"tokenizer": "l2", "stage": "stage2", "seed": 0}
    metrics = {"rfid": 3.5, "classifier_accuracy": 0.9, "psnr": 20.0}
    path = tmp_path / "seed0.json"
    write_record(path, score_record("reconstruction", "digits", subject, metrics, protocol, {"seed": 0}))
    scores = read_scores([path])
    assert scores.label("rfid").label == "digits-rFID"
    assert scores.label("classifier_accuracy").unit == ""
    assert scores.frame.loc[0, ["rfid", "classifier_accuracy"]].tolist() == [3.5, 0.9]
