"""Score records: labels, protocol ids, refusals, and files that were edited."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from titok.errors import ScoreError
from titok.metrics.bootstrap import Interval
from titok.records.metric import METRICS
from titok.records.record import check_record, protocol_id, score_record, write_record
from titok.runtime.files import read_json

PROTOCOL = {"num_images": 500, "rounding": "round", "extractor": {"kind": "classifier", "name": "judge"}}


def record(**changes) -> dict:
    parts = {
        "kind": "reconstruction",
        "study": "digits",
        "subject": {"tokenizer": "l2", "stage": "stage2", "seed": 0},
        "metrics": {"rfid": 1.25, "psnr": 20, "codebook_usage": 0.5},
        "protocol": PROTOCOL,
        "provenance": {"code": {"commit": "abc"}},
    }
    return score_record(**(parts | changes))


def test_metrics_are_described() -> None:
    metrics = record()["metrics"]
    assert metrics["rfid"] == {"value": 1.25, "label": "digits-rFID", "better": "lower", "unit": ""}
    assert metrics["psnr"] == {"value": 20, "label": "PSNR", "better": "higher", "unit": "dB"}
    assert metrics["codebook_usage"]["unit"] == "fraction"


@pytest.mark.parametrize(
    ("key", "label"), [("rfid", "rFID"), ("gfid", "gFID"), ("inception_score", "IS"), ("ssim", "SSIM")]
)
def test_only_inception_gives_bare_names(key: str, label: str) -> None:
    inception = record(metrics={key: 1.0}, protocol=PROTOCOL | {"extractor": {"kind": "inception"}})
    assert inception["metrics"][key]["label"] == label
    own = record(metrics={key: 1.0})["metrics"][key]["label"]
    assert own == (label if key == "ssim" else f"digits-{label}")


def test_protocol_id_follows_the_protocol_and_nothing_else() -> None:
    reordered = dict(reversed(PROTOCOL.items()))
    assert protocol_id(reordered) == protocol_id(PROTOCOL) == record(metrics={"psnr": 1.0})["protocol_id"]
    assert len(protocol_id(PROTOCOL)) == 12
    assert protocol_id(PROTOCOL | {"rounding": "truncate"}) != protocol_id(PROTOCOL)


def test_labels_of_metrics_are_unambiguous() -> None:
    assert len({metric.label for metric in METRICS.values()}) == len(METRICS)


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    write_record(tmp_path / "scores" / "seed0.json", record())
    assert read_json(tmp_path / "scores" / "seed0.json") == record()


def test_intervals_stand_beside_their_numbers() -> None:
    found = record(intervals={"rfid": Interval(1.0, 1.5, 0.95)})
    assert found["metrics"]["rfid"]["interval"] == {"low": 1.0, "high": 1.5, "coverage": 0.95}
    assert "interval" not in found["metrics"]["psnr"]
    assert found["protocol_id"] == record()["protocol_id"]


TIMED = {"device": {"name": "NVIDIA A100"}, "batch_size": 64, "precision": "fp32"}


def test_speeds_have_protocols_of_their_own_which_move_no_other() -> None:
    metrics = {"rfid": 1.25, "training_images_per_second": 90.0}
    found = record(metrics=metrics, timed={"training_images_per_second": TIMED})
    speed = found["metrics"]["training_images_per_second"]
    assert (speed["protocol"], speed["protocol_id"]) == (TIMED, protocol_id(TIMED))
    assert found["protocol_id"] == record()["protocol_id"]
    speed["protocol"]["batch_size"] = 32
    with pytest.raises(ScoreError, match=r"training_images_per_second has protocol_id .* the file was edited"):
        check_record(found)
    with pytest.raises(ScoreError, match=r"metric rfid has the protocol .* only speeds have one of their own"):
        record(metrics=metrics, timed={"rfid": TIMED})


@pytest.mark.parametrize(
    "interval",
    [None, 3, {"low": 1.0}, {"low": 2.0, "high": 1.0, "coverage": 0.95}, {"low": 1, "high": 2, "coverage": 95}],
)
def test_intervals_are_checked(interval: object) -> None:
    edited = record()
    edited["metrics"]["rfid"]["interval"] = interval
    with pytest.raises(ScoreError, match="metric rfid has the interval"):
        check_record(edited)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "1.0", True])
def test_only_finite_numbers_are_scores(value: object) -> None:
    with pytest.raises(ScoreError, match=r"metric rfid is .*finite"):
        record(metrics={"rfid": value})


def test_other_mistakes_are_named() -> None:
    with pytest.raises(ScoreError, match="metric 'fid' is unknown; allowed: rfid, gfid"):
        record(metrics={"fid": 1.0})
    with pytest.raises(ScoreError, match=r"kind is 'other'; allowed: reconstruction, .*, throughput"):
        record(kind="other")
    with pytest.raises(ScoreError, match=r"metrics is \{\}"):
        record(metrics={})
    with pytest.raises(ScoreError, match=r"rFID needs protocol\['extractor'\]"):
        record(protocol={"num_images": 500})
    assert record(metrics={"linear_probe_top1": 0.5}, protocol={"features": "mean"}, kind="linear_probe")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("protocol", "rounding"), "truncate", "protocol_id is"),
        (("metrics", "rfid", "label"), "rFID", "expected label 'digits-rFID'"),
        (("metrics", "rfid", "better"), "higher", "better 'lower'"),
        (("extra",), 1, r"unknown keys \['extra'\]"),
    ],
)
def test_edited_files_are_noticed(tmp_path: Path, path: tuple[str, ...], value: object, message: str) -> None:
    edited = copy.deepcopy(record())
    target = edited
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    (tmp_path / "edited.json").write_text(json.dumps(edited))
    with pytest.raises(ScoreError, match=rf"edited\.json: .*{message}"):
        check_record(read_json(tmp_path / "edited.json"), str(tmp_path / "edited.json"))


def test_a_bad_record_does_not_replace_a_good_one(tmp_path: Path) -> None:
    path = tmp_path / "seed0.json"
    write_record(path, record())
    bad = record()
    del bad["protocol_id"]
    with pytest.raises(ScoreError, match=r"missing keys \['protocol_id'\]"):
        write_record(path, bad)
    check_record(read_json(path))
