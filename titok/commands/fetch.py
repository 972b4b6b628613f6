"""``titok fetch NAME``: released weights and networks of losses and scores, with their sums checked or recorded."""

from __future__ import annotations

import argparse
from pathlib import Path

from titok.config.load import ConfigError
from titok.config.sources import SOURCES_FILE, Download, Source, load_sources, record_sha256
from titok.models.hub import check_sha256, fetch
from titok.runtime.download import download_url
from titok.runtime.files import sha256_file, write_text

WEIGHTS_FOLDER = Path("weights")
"""Where files with addresses of their own go, unless told otherwise; the Hub has a cache."""


def fetch_weights(options: argparse.Namespace) -> None:
    """Downloads one source; ``--record`` writes its SHA-256 where none is recorded yet."""
    file = options.sources or SOURCES_FILE
    sources = load_sources(file)
    known: dict[str, Source | Download] = {**sources.models, **sources.files}
    if options.name not in known:
        raise ConfigError(f"{file} has no {options.name!r}; allowed: {', '.join(known)}")
    source = known[options.name]
    weights = _download(source, options.output) if isinstance(source, Download) else fetch(source, options.output)
    if source.sha256 is not None:
        check_sha256(weights, source.sha256)
        print(f"{weights}: its SHA-256 is the recorded one")
        return
    found = sha256_file(weights)
    if options.record:
        write_text(file, record_sha256(options.name, found, file))
        print(f"{weights}: SHA-256 {found} recorded in {file}")
    else:
        print(f"{weights}: SHA-256 {found}, nothing recorded to compare it with (--record keeps it)")


def _download(source: Download, directory: Path | None) -> Path:
    """The file, fetched unless it is there already."""
    target = (directory or WEIGHTS_FOLDER) / source.file
    if not target.is_file():
        download_url(source.url, target, source.sha256_prefix)
    return target
