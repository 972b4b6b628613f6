"""What of a finished study a repository keeps: its numbers, claims, tables, figures and page, a few MB, and a manifest.

`titok compare` reads such a folder in the place of results. Weights, samples and tokens are in it by their sums alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from titok.errors import ScoreError
from titok.reporting.numbers import read_folder
from titok.reporting.numbers_file import write_numbers
from titok.runtime.files import read_json, sha256_file, write_json

NUMBERS = "numbers.csv"
MANIFEST = "evidence.json"
PAGES = ("report.html", "claims.json", "claims.md", "checks.json", "checks.md")
KEPT = {"tables": (".csv", ".md"), "figures": (".svg", ".csv")}
"""Folder -> endings that are kept: other forms of a table or figure say the same."""
MOST_BYTES = 8_000_000
"""Of a folder: a repository keeps every version of it for ever."""


def write_evidence(results: Path, output: Path, lock: Path | None) -> dict[str, Any]:
    """Fills ``output`` from ``results`` (``results/<study>``); returns the manifest.

    Args:
        lock: the file that pins the packages, whose sum is noted; null: unknown.

    Raises:
        ScoreError: the study is not finished, or its evidence is too large for a repository.
    """
    if missing := [name for name in ("report.html", "claims.json", "checks.json") if not (results / name).is_file()]:
        raise ScoreError(
            f"{results} has no {', no '.join(missing)}; finish the study first (snakemake says what is missing)"
        )
    files = {path.relative_to(results): path for path in _kept(results)}
    if (size := sum(path.stat().st_size for path in files.values())) > MOST_BYTES:
        largest = max(files.values(), key=lambda path: path.stat().st_size)
        raise ScoreError(
            f"the evidence of {results} has {size / 1e6:.1f} MB, allowed are {MOST_BYTES / 1e6:.0f}; the largest file "
            f"is {largest} of {largest.stat().st_size / 1e6:.1f} MB: show fewer images in it"
        )
    run = read_folder(results)
    lock_sha256 = sha256_file(lock) if lock is not None and lock.exists() else None
    _remove_earlier(output)
    for place, path in files.items():
        (output / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, output / place)
    write_numbers(output / NUMBERS, run, lock_sha256)
    kept = [*sorted(map(str, files)), NUMBERS]
    manifest = {
        "format": 1, "study": run.study, "numbers": len(run.numbers), "environment": run.environment,
        "lock_sha256": lock_sha256, "hours": measured_hours(results),
        "files": {name: sha256_file(output / name) for name in kept},
    }  # fmt: skip
    write_json(output / MANIFEST, manifest)
    return manifest


def _remove_earlier(output: Path) -> None:
    """What the folder's own manifest names, so that no figure stays that the study has no more."""
    if (output / MANIFEST).is_file():
        for name in read_json(output / MANIFEST)["files"]:
            (output / name).unlink(missing_ok=True)


def _kept(results: Path) -> Iterator[Path]:
    yield from (results / name for name in PAGES if (results / name).is_file())
    for folder, endings in KEPT.items():
        found = (results / folder).iterdir() if (results / folder).is_dir() else ()
        yield from sorted(path for path in found if path.suffix in endings)


def measured_hours(results: Path) -> dict[str, float]:
    """Hours that trainings took, by task, from their manifests; of one process each, however many ran side by side."""
    hours: dict[str, float] = {}
    for path in sorted(results.rglob("manifest.json")):
        if path.relative_to(results).parts[0] == "training":
            continue  # where runs are kept by their settings; the models' folders have the same manifests
        found = read_json(path)
        if isinstance(found, dict) and {"task", "wall_seconds"} <= found.keys():
            hours[found["task"]] = hours.get(found["task"], 0.0) + found["wall_seconds"] / 3600
    return {task: round(value, 4) for task, value in sorted(hours.items())}
