"""A run's numbers as one CSV that can be committed: sorted, exact, and with what they were made by in comment lines.

A line per number; floats are written so that reading gives the same bits. Comment lines are JSON after ``# about`` (the
study, the environment, names of metrics) and ``# protocol ID``.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from titok.errors import ScoreError
from titok.reporting.numbers import SUMS, Key, Number, Run, What
from titok.runtime.files import existing_file, write_text

FORMAT = "titok-numbers-1"
_COLUMNS = (
    "kind", "name", "stage", "sampler", "seed", "metric", "value", "low", "high", "protocol_id", "size",
    "num_latent_tokens",
)  # fmt: skip


def write_numbers(path: Path, run: Run, lock_sha256: str | None = None) -> None:
    """Writes every number of a run; ``lock_sha256`` is the sum of the file that pins the packages."""
    about: dict[str, Any] = {"format": FORMAT, "study": run.study, "count": len(run.numbers)}
    about |= {"environment": run.environment, "lock_sha256": lock_sha256}
    text = io.StringIO()
    text.write(f"# about {_json(about | {'labels': dict(sorted(run.labels.items()))})}\n")
    for identifier, protocol in sorted(run.protocols.items()):
        text.write(f"# protocol {identifier} {_json(protocol)}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(_row(key, number, run.facts.get(key.what, {})) for key, number in sorted(run.numbers.items()))
    write_text(path, text.getvalue())


def read_numbers(path: Path) -> Run:
    """The run that a file of numbers was written from.

    Raises:
        FileError: the file is missing.
        ScoreError: it is no such file; names the line.
    """
    # A mark of the encoding is what spreadsheets put first.
    lines = existing_file(path).read_text(encoding="utf-8-sig", errors="replace").splitlines()
    comments = [line for line in lines if line.startswith("# ")]
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    try:
        about = json.loads(comments[0].removeprefix("# about "))
        is_ours = about["format"] == FORMAT and tuple(rows.fieldnames or ()) == _COLUMNS
        protocols = {words[2]: json.loads(words[3]) for words in (line.split(" ", 3) for line in comments[1:])}
    except (IndexError, ValueError, KeyError, TypeError):
        is_ours = False
    if not is_ours:
        raise ScoreError(
            f"{path} is no file of numbers (its first line is not '# about' with format {FORMAT}, or its columns are "
            f"others); give a file that `titok numbers` wrote, or a results folder"
        )
    run = Run(str(path), about["study"], {}, {}, about["labels"], protocols, about["environment"])
    _fill(run, rows, path)
    # Files from before it was written do not say how many there are.
    if about.get("count", len(run.numbers)) != len(run.numbers):
        raise ScoreError(
            f"{path} has {len(run.numbers)} of the {about['count']} numbers that were written; it was cut short or "
            f"edited: write the file again"
        )
    return run


def _fill(run: Run, rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    for row in rows:
        try:
            if None in row.values() or None in row:
                raise ValueError(f"{len(_COLUMNS)} columns are needed")
            what = What(row["kind"], row["name"], row["stage"], row["sampler"])
            key = Key(what, int(row["seed"]), row["metric"])
            value = row["value"] if key.metric in SUMS else _number(row["value"])
            low, high = (_number(row[end]) if row[end] else None for end in ("low", "high"))
            facts = {"size": row["size"]} if row["size"] else {}
            facts |= {"num_latent_tokens": int(row["num_latent_tokens"])} if row["num_latent_tokens"] else {}
        except (ValueError, TypeError, KeyError) as error:
            shown = ",".join(str(cell) for cell in row.values() if cell is not None)
            raise ScoreError(f"{path}: the line {shown!r} cannot be read ({error}); write the file again") from None
        if key in run.numbers:
            raise ScoreError(f"{path}: {key.metric} of {what}, seed {key.seed}, is there twice; write the file again")
        run.numbers[key] = Number(value, low, high, row["protocol_id"])
        if facts:
            run.facts[what] = facts


def _row(key: Key, number: Number, facts: Mapping[str, Any]) -> list[object]:
    ends = ["" if end is None else repr(end) for end in (number.low, number.high)]
    value = number.value if isinstance(number.value, str) else repr(number.value)
    known = [facts.get("size", ""), facts.get("num_latent_tokens", "")]
    return [*key.what, key.seed, key.metric, value, *ends, number.protocol_id, *known]


def _number(text: str) -> float:
    """An integer stays one, so that writing again gives the same text."""
    value = int(text) if text.lstrip("-").isdigit() else float(text)
    if not math.isfinite(value):
        raise ValueError("only finite numbers are compared")
    return value


def _json(data: Any) -> str:
    return json.dumps(data, sort_keys=True, ensure_ascii=False)
