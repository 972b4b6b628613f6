"""Features of many images on the disk, for what needs to look at them again: neighbours, subsets, intervals."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

CHUNK = 4096
"""Rows read at a time: 48 MiB of Inception's features and logits."""


class FeatureStore:
    """Rows of float32 numbers in the order they come. The file has no name and is gone when this is, or is killed.

    Args:
        folder: where there is room: 0.4 GB for 50,000 images of Inception's 2048 features.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        if folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - as long as this object
        self._columns = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, rows: Tensor) -> None:
        """Adds rows (B, F) of any floating type; every call with the same F."""
        self._columns = rows.shape[1]
        self._count += len(rows)
        self._file.write(np.ascontiguousarray(rows.detach().to("cpu", torch.float32).numpy()).tobytes())

    def chunks(self, places: np.ndarray | None = None, device: torch.device | str = "cpu") -> Iterator[Tensor]:
        """The rows at sorted ``places`` (n,), or all of them, (<= CHUNK, F) float32 at a time."""
        self._file.flush()
        if self._count == 0:
            return
        stored = np.memmap(self._file, np.float32, "r", shape=(self._count, self._columns))
        for start in range(0, self._count if places is None else len(places), CHUNK):
            part = stored[start : start + CHUNK] if places is None else stored[places[start : start + CHUNK]]
            yield torch.from_numpy(np.array(part)).to(device)

    def rows(self, places: np.ndarray | None = None, device: torch.device | str = "cpu") -> Tensor:
        """The rows at ``places``, or all of them, (n, F) float32, in memory."""
        return torch.cat(list(self.chunks(places, device)))
