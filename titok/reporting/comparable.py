"""Whether a number of ours was measured as the paper's was: by which protocol, on which device, of which architecture.

The paper's rFIDs and gFIDs are those of `titok-official` (docs/protocols.md), its speeds those of one A100 by the
released script; ALIT's are of 5,000 images of ImageNet-100, of crops that were not resized. What decides the number
beyond rounding is asked for; what only changes last digits is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from titok.records.record import Kind
from titok.reporting.collect import NotComparableError, Scores
from titok.reporting.paper import Paper
from titok.reporting.speeds import own_protocol

if TYPE_CHECKING:
    import pandas as pd

SAMPLING_SPEED = "sampling_images_per_second"
TRAINING_SPEED = "training_images_per_second"
LARGER_TABLES = ("table2",)
"""Tables of 512 pixels; all others are of 256."""
ALIT = "alit"
"""How tables of ALIT's numbers begin in config/paper.csv."""
FACTS = ("num_latent_tokens", "codebook_size", "num_steps")
"""Columns of the paper that say which architecture (and how many sampling steps) a number is of."""


@dataclass(frozen=True)
class _Asked:
    """One key of a protocol.

    Attributes:
        wanted: values that are the paper's; the first one is named.
        absent: the value of a record that does not have the key.
        part: whether it is enough that our value holds the wanted one, as device names do.
    """

    key: str
    wanted: tuple[Any, ...]
    absent: Any = None
    part: bool = False

    def difference(self, protocol: Mapping[str, Any]) -> str:
        """What differs; empty for nothing."""
        found = protocol.get(self.key, self.absent)
        if found in self.wanted or (self.part and any(wanted in str(found) for wanted in self.wanted)):
            return ""
        return f"{self.key} is {'not stated' if found is None else found} here, {self.wanted[0]} in the paper"


_INCEPTION = (_Asked("extractor.kind", ("inception",)), _Asked("extractor.resize", ("tensorflow1",), "tensorflow1"))


def _reconstruction(side: int) -> tuple[_Asked, ...]:
    return (
        *_INCEPTION,
        # A folder or a table of ImageNet's images is ImageNet, too; their number tells.
        _Asked("reference.dataset", ("imagenet", "folder", "parquet")),
        _Asked("reference.split", ("test",)),
        _Asked("num_images", (50_000,)),
        _Asked("reference.crop", (side,)),
        _Asked("reference.resize_rule", ("official",)),
        _Asked("rounding", ("round",)),
    )


_ALIT = (
    _Asked("extractor.kind", ("inception",)),
    # pytorch-fid's resize into Inception puts pixels' centres elsewhere than TensorFlow's.
    _Asked("extractor.resize", ("pytorch-fid",), "tensorflow1"),
    _Asked("reference.dataset", ("imagenet", "folder", "parquet")),
    _Asked("reference.split", ("test",)),
    _Asked("num_images", (5_000,)),
    _Asked("reference.crop", (256,)),
    _Asked("reference.resize_rule", ("none",)),
    _Asked("rounding", ("truncate",)),
)


def _generation(side: int) -> tuple[_Asked, ...]:
    file = "VIRTUAL_imagenet256_labeled.npz" if side == 256 else "VIRTUAL_imagenet512.npz"
    return (
        *_INCEPTION,
        _Asked("num_images", (50_000,)),
        _Asked("num_classes", (1000,)),
        _Asked("reference.file", (file,)),
    )


_TRAINING = (
    _Asked("device.name", ("A100",), part=True),
    _Asked("precision", ("bf16",)),
    _Asked("batch_size", (2048,)),
)
"""Of generators, by the released settings."""


def _speed(side: int) -> tuple[_Asked, ...]:
    batch = (_Asked("throughput.batch_size", (128,)),) if side == 256 else ()
    return (
        _Asked("device.name", ("A100",), part=True),
        _Asked("throughput.precision", ("fp32",)),
        _Asked("throughput.tf32", (True,)),
        *batch,
    )


def require_as_in_the_paper(
    scores: Scores, records: pd.DataFrame, metric: str, kind: Kind, paper: Paper, reference: str
) -> None:
    """Refuses numbers that must not be held against the paper's row ``reference`` (`table/row`).

    Raises:
        NotComparableError: names every key that differs, with both values.
    """
    table = reference.partition("/")[0]
    side = 512 if table in LARGER_TABLES else 256
    if metric in (SAMPLING_SPEED, TRAINING_SPEED):
        protocols = _speed_protocols(scores, records, metric)
        wanted = _speed(side) if metric == SAMPLING_SPEED else _TRAINING
        found = [asked.difference(protocol) for protocol in protocols for asked in wanted]
    else:
        scores.require_one_protocol(records, metric)
        asked = _generation(side) if kind == "generation" else _reconstruction(side)
        asked = _ALIT if table.startswith(ALIT) else asked
        protocol = scores.protocols[records["protocol_id"].iloc[0]]
        found = [one.difference(protocol) for one in asked]
    found += _architecture(records, kind, paper, reference)
    if any(found):
        raise NotComparableError("; ".join(dict.fromkeys(filter(None, found))))


def _speed_protocols(scores: Scores, records: pd.DataFrame, metric: str) -> list[Mapping[str, Any]]:
    """Those of the speeds alone; one that states nothing where a record has none (earlier versions wrote such)."""
    column = own_protocol(metric)
    if column not in records or records[column].isna().any():
        return [{}]
    return [scores.protocols[identifier] for identifier in records[column].unique()]


def _architecture(records: pd.DataFrame, kind: Kind, paper: Paper, reference: str) -> Iterable[str]:
    """Tokens, codes and steps that are not those of the paper's row."""
    for fact in FACTS if kind == "generation" else FACTS[:2]:
        theirs = paper.value(reference, fact)
        if theirs is None or not theirs.is_sure or fact not in records:
            continue
        for ours in records[fact].dropna().unique():
            if float(ours) != theirs.value:
                yield f"{fact} is {ours:g} here, {theirs.value:g} in the paper"
