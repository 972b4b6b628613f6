"""Speeds that were measured by a protocol of their own take the place of those at which samples happened to be made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from titok.errors import ScoreError
from titok.reporting.estimates import COVERAGE, BootstrapInterval, Sittings, combine

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


def are_apart(records: pd.DataFrame, metric: str) -> bool:
    """Whether these records of samples have a speed that was measured apart from them; seeds share it."""
    return metric == SPEEDS[0] and "speed_protocol_id" in records and bool(records["speed_protocol_id"].notna().all())


def sittings_of(measured: Iterable[Mapping[Any, Any]]) -> Sittings:
    """Records of the speed of one generator and sampler, as repetitions."""
    return Sittings({int(row["sitting"]): float(row[SPEEDS[0]]) for row in measured})


def give_speeds(rows: Sequence[dict[str, Any]], intervals: dict[tuple[str, str], BootstrapInterval]) -> None:
    """Writes measured speeds, means over sittings, into the rows of samples of the same generator and sampler.

    ``rows`` are records as one mapping each, with `file`, `kind`, `protocol_id`, subject and metrics; ``intervals``
    maps (file, metric). Both are changed; `speed_protocol_id` says by which protocol, as the speed's own does. Records
    of before there were several sittings are of the first one.
    """
    measured: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["kind"] == "throughput":
            row.setdefault("sitting", 0)
            measured.setdefault((row["generator"], row["sampler"]), []).append(row)
    _require_one_way([row for sittings in measured.values() for row in sittings])
    for row in rows:
        sittings = measured.get((row.get("generator"), row.get("sampler")))  # type: ignore[arg-type]
        if row["kind"] != "generation" or sittings is None:
            continue
        row["speed_protocol_id"] = row[own_protocol(SPEEDS[0])] = sittings[0]["protocol_id"]
        found = combine([sittings_of(sittings)], [1.0])
        row |= {metric: sittings[0][metric] for metric in SPEEDS} | {SPEEDS[0]: found.value}
        for metric in SPEEDS:
            intervals.pop((row["file"], metric), None)
        if found.is_known:
            half = found.half_width()
            interval = BootstrapInterval(found.value - half, found.value + half, COVERAGE, "sittings")
            intervals[row["file"], SPEEDS[0]] = interval


def _require_one_way(measured: Sequence[dict[str, Any]]) -> None:
    for row in measured:
        first = measured[0]
        if row["protocol_id"] != first["protocol_id"]:
            raise ScoreError(
                f"{first['file']} and {row['file']} were measured in two ways or on two devices (protocol_id "
                f"{first['protocol_id']} and {row['protocol_id']}); delete one and measure it again like the other"
            )


def speed_note(records: pd.DataFrame) -> str:
    """On what, and how, sampling speeds of all records of a study were measured."""
    alone = "measured alone on it in several sittings, as the protocol of throughput scores says."
    shared = "those at which samples were made, when other jobs may have shared it."
    return f"Speeds are of the machine that the page names, {alone if 'speed_protocol_id' in records else shared}"
