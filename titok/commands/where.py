"""``titok where``: in which studies each of the paper's claims holds; no torch here."""

from __future__ import annotations

import argparse
from pathlib import Path

from titok.config.claims import load_claims
from titok.errors import OptionError
from titok.reporting.where import read_study, where_frame, where_markdown
from titok.runtime.files import write_text


def where(options: argparse.Namespace) -> None:
    """Prints the table; with ``--output`` writes it, and its numbers as CSV beside it.

    Raises:
        OptionError: two studies have one name.
    """
    named: list[tuple[str, Path | None]] = [(folder.resolve().name, folder) for folder in options.folders]
    named += [(name, None) for name in options.not_run]
    names = [name for name, _ in named]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise OptionError(f"two studies are called {twice[0]!r}, by their folders or --not-run; rename one folder")
    studies = {name: read_study(folder) if folder else None for name, folder in named}
    claims = load_claims(options.claims)
    text = where_markdown(claims, studies)
    if options.output is None:
        print(text, end="")
        return
    write_text(options.output, text)
    table = where_frame(claims, studies).to_csv(index=False, lineterminator="\n")
    write_text(options.output.with_suffix(".csv"), table)
