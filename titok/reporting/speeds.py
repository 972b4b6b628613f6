"""Speeds that were measured by a protocol of their own take the place of those at which samples happened to be made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from titok.errors import ScoreError

if TYPE_CHECKING:
    import pandas as pd

SPEEDS = ("sampling_images_per_second", "sampling_gflop")
"""Metrics of records of kind `throughput` that stand beside the scores of samples."""


def own_protocol(metric: str) -> str:
    """The column of the protocols of a speed, which are not those of the record that it stands in."""
    return f"{metric}_protocol_id"


def protocol_column(records: pd.DataFrame, metric: str) -> str:
    """The column that says how a metric was measured."""
    return own_protocol(metric) if own_protocol(metric) in records else "protocol_id"


def give_speeds(rows: Sequence[dict[str, Any]], intervals: dict[tuple[str, str], Any]) -> None:
    """Writes measured speeds, and their intervals, into the rows of samples of the same generator and sampler.

    ``rows`` are records as one mapping each, with `file`, `kind`, `protocol_id`, subject and metrics; ``intervals``
    maps (file, metric). Both are changed; `speed_protocol_id` says by which protocol, as the speed's own does. Seeds
    share a speed: it does not depend on the weights.
    """
    measured = [row for row in rows if row["kind"] == "throughput"]
    for row in measured:
        first = measured[0]
        if row["protocol_id"] != first["protocol_id"]:
            raise ScoreError(
                f"{first['file']} and {row['file']} were measured in two ways or on two devices (protocol_id "
                f"{first['protocol_id']} and {row['protocol_id']}); delete one and measure it again like the other"
            )
    speed_of = {(row["generator"], row["sampler"]): row for row in measured}
    for row in rows:
        speed = speed_of.get((row.get("generator"), row.get("sampler")))
        if row["kind"] != "generation" or speed is None:
            continue
        row["speed_protocol_id"] = row[own_protocol(SPEEDS[0])] = speed["protocol_id"]
        for metric in SPEEDS:
            row[metric] = speed[metric]
            intervals.pop((row["file"], metric), None)
            if (speed["file"], metric) in intervals:
                intervals[row["file"], metric] = intervals[speed["file"], metric]


def speed_note(records: pd.DataFrame) -> str:
    """On what, and how, sampling speeds of all records of a study were measured."""
    alone = "measured alone on it, as the protocol of throughput scores says."
    shared = "those at which samples were made, when other jobs may have shared it."
    return f"Speeds are of the machine that the page names, {alone if 'speed_protocol_id' in records else shared}"
