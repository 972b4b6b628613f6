"""What trainings leave behind: manifests and logs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from titok.errors import ScoreError
from titok.reporting.collect import MissingScore
from titok.reporting.once import Once
from titok.runtime.files import read_json


def read_manifests(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Manifests of training runs: one row each, with its `file` and the manifest's keys."""
    rows = []
    once = Once()
    for path in map(Path, paths):
        manifest = read_json(path)
        once.note(path.resolve(), path, "manifests of one training")
        if not isinstance(manifest, dict) or "task" not in manifest:
            raise ScoreError(f"{path}: not a training manifest (it has no `task`); delete the run and train it again")
        rows.append({"file": str(path), **manifest})
    return pd.DataFrame(rows)


def read_metrics_log(path: str | Path) -> pd.DataFrame:
    """A run's ``metrics.jsonl``: one row per line, a resumed run's repeated steps once (the last writer wins)."""
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise MissingScore(f"{path}: no such metrics log; train the run, or take its curve out of the study") from None
    try:
        frame = pd.DataFrame([json.loads(line) for line in lines if line.strip()])
    except json.JSONDecodeError as error:
        raise ScoreError(f"{path}: line {error.lineno} is not JSON ({error.msg}); train the run again") from None
    if "step" not in frame:
        raise ScoreError(f"{path}: its lines have no `step`; expected the metrics log of a training run")
    return frame.drop_duplicates("step", keep="last").sort_values("step", ignore_index=True)
