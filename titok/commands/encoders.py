"""``titok encoders``: the frozen networks that the project knows by name, and what is known of them without weights."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from titok.config.encoder_record import EncoderRecord
from titok.config.encoder_records import load_encoders
from titok.errors import OptionError
from titok.models.soft_tokens import SoftTokens, soft_token_facts


def encoders(options: argparse.Namespace) -> None:
    """Prints a table of all, or opens the weights of one and says whether they are the record's."""
    records = load_encoders(options.records)
    if options.name is None:
        print(encoders_markdown(records))
        return
    if options.name not in records:
        raise OptionError(f"there is no encoder {options.name!r}; known: {', '.join(records)}")
    record = records[options.name]
    if not record.commercial:
        print(f"{options.name}: weights under {record.licence}, not for business", file=sys.stderr)
    print(encoders_markdown({options.name: record}))
    if options.weights is not None:
        SoftTokens.open(record, options.weights)
        said = "are the record's" if record.sha256 else "fit; the record has no sha256 yet"
        print(f"{options.weights}: the weights {said}")


def encoders_markdown(records: Mapping[str, EncoderRecord]) -> str:
    """Name, network, tokens and cost of each, as a table."""
    head = ("name", "timm's name", "kind", "input", "tokens x width", "parameters", "GFLOP", "fp16, kbit", "licence")
    lines = [f"| {' | '.join(head)} |", "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"]
    for name, record in records.items():
        facts = soft_token_facts(record)
        cells = (
            *(name, f"`{record.model}`", record.kind, f"{record.image_size}", f"{facts.num_tokens} x {facts.width}"),
            *(f"{facts.parameters:,}", f"{facts.gflop:.3g}", f"{facts.stored_bits / 1000:,.0f}", record.terms),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
