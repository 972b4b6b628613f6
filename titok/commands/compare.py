"""``titok numbers | evidence | compare``: what of a run is kept, and two runs side by side; no torch here."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from titok.reporting.compare import compare_runs
from titok.reporting.compare_page import write_page
from titok.reporting.compare_text import difference_frame, summary_lines
from titok.reporting.documented import documented_lines
from titok.reporting.evidence_folder import MANIFEST as EVIDENCE
from titok.reporting.evidence_folder import NUMBERS, write_evidence
from titok.reporting.numbers import Run, read_folder
from titok.reporting.numbers_file import read_numbers, write_numbers
from titok.runtime.files import sha256_file, write_text


def numbers(options: argparse.Namespace) -> None:
    """Writes every number of a results folder, speeds left out."""
    run = read_folder(options.results, with_sums=not options.scores_only)
    write_numbers(options.output, run, sha256_file(options.lock) if options.lock.exists() else None)
    print(f"{options.output}: {len(run.numbers)} numbers of {options.results}")


def compare(options: argparse.Namespace) -> None:
    """Says how two runs differ; ends with status 1 under ``--strict`` when they do."""
    a, b = (_read(path, with_sums=not options.scores_only) for path in (options.a, options.b))
    differences = compare_runs(a, b)
    if options.csv is not None:
        write_text(options.csv, difference_frame(differences).to_csv(index=False, lineterminator="\n"))
    if options.output is not None:
        write_page(options.output, a, b, differences)
    lines = summary_lines(a, b, differences)
    lines += [f"the page: {options.output}"] if options.output is not None else []
    lines += documented_lines(a, b) if _is_file(options.b) else []
    print("\n".join(lines))
    if options.strict and not all(one.is_harmless for one in differences):
        sys.exit(1)


def evidence(options: argparse.Namespace) -> None:
    """Copies what a repository keeps of a finished study."""
    manifest = write_evidence(options.results, options.output, options.lock)
    print(f"{options.output}: {manifest['numbers']} numbers and {len(manifest['files'])} files of {options.results}")


def _read(path: Path, *, with_sums: bool) -> Run:
    if (path / EVIDENCE).is_file():
        path = path / NUMBERS
    return read_numbers(path) if _is_file(path) else read_folder(path, with_sums=with_sums)


def _is_file(path: Path) -> bool:
    """Whether numbers come from a file, of which the name tells where there is none, or from an evidence folder."""
    return path.is_file() or path.suffix == ".csv" or (path / EVIDENCE).is_file()
