"""Who works on which rows of a batch: the global batch is given, processes and passes only share it out.

Letters: G rows of the global batch, B of this process's part, in rank order.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from titok.config.training import Training
from titok.errors import MachineError
from titok.runtime.processes import Place


class Pass(NamedTuple):
    """What goes through the networks at once."""

    rows: slice
    """Of this process's B rows."""
    share: float
    """Of the process's batch."""


@dataclass(frozen=True)
class Shares:
    """This process's share of every global batch, and the passes that it takes to work on it."""

    rank: int = 0
    world_size: int = 1
    micro_batch_size: int | None = None

    @classmethod
    def of(cls, training: Training, place: Place) -> Shares:
        """Raises ``MachineError`` if not every process would get the same number of images."""
        if training.batch_size % place.world_size:
            raise MachineError(
                f"training.batch_size is {training.batch_size}, the images of one update over all processes, and "
                f"{place.world_size} processes cannot share them equally; start a number of processes that divides it"
            )
        return cls(place.rank, place.world_size, training.compute.micro_batch_size)

    def mine(self, drawn: Tensor) -> Tensor:
        """(B, ...): this process's rows of what was drawn for the global batch (G, ...)."""
        size = len(drawn) // self.world_size
        return drawn[self.rank * size : (self.rank + 1) * size]

    def passes(self, size: int) -> Iterator[Pass]:
        """The passes over this process's ``size`` = B rows: as few as may be, of sizes as equal as may be."""
        number = self.num_passes(size)
        bounds = [size * index // number for index in range(number + 1)]
        for start, end in itertools.pairwise(bounds):
            yield Pass(slice(start, end), (end - start) / size)

    def num_passes(self, size: int) -> int:
        """How many passes ``size`` rows take."""
        return -(-size // (self.micro_batch_size or size))
