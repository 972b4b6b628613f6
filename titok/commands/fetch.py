"""``titok fetch NAME``: released weights from the Hub, checked against the recorded sum or recording it."""

from __future__ import annotations

import argparse

from titok.config.load import ConfigError
from titok.config.sources import SOURCES_FILE, load_sources, record_sha256
from titok.models.hub import check_sha256, fetch
from titok.runtime.files import sha256_file, write_text


def fetch_weights(options: argparse.Namespace) -> None:
    """Downloads one source; ``--record`` writes its SHA-256 where none is recorded yet."""
    file = options.sources or SOURCES_FILE
    sources = load_sources(file).models
    if options.name not in sources:
        raise ConfigError(f"{file} has no {options.name!r}; allowed: {', '.join(sources)}")
    source = sources[options.name]
    weights = fetch(source, options.output)
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
