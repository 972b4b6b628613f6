"""Is the run well? Numbers of the last steps, and the illnesses that stop a run: non-finite numbers and collapse.

Numbers stay on the device until somebody looks (``Window.collect``): on a CPU every step, on a GPU at each line of the
log, so that no step waits for the host. ``Player.update`` keeps a broken step from changing anything meanwhile.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from titok.errors import TitokError
from titok.runtime.processes import mean, place, total
from titok.training.task import MODEL

_JUDGED = ("loss", "grad_norm")
SMALLEST_LOSS_SCALE = 2.0**-10
"""A loss scale below this has been halved 26 times: something else than the scale is wrong."""


class SickRunError(TitokError):
    """A run that had better stop; ``step`` (from 0) is the one that showed it."""

    def __init__(self, step: int, message: str) -> None:
        self.step = step
        super().__init__(message)


class NonFiniteError(SickRunError):
    """A loss or gradient norm was infinite or not a number."""

    def __init__(self, step: int, terms: Mapping[str, float]) -> None:
        values = ", ".join(f"{name} {value:.6g}" for name, value in terms.items())
        super().__init__(
            step,
            f"step {step} gave a loss or gradient that is not finite ({values}); the weights are those of before that "
            f"step. Lower the learning rate, lengthen the warm-up or look at the batch",
        )


class CollapseWarning(UserWarning):
    """The tokenizer uses a single code; the run stops if that lasts."""


class Window:
    """What happened since the last line of the log: terms of each step, codes used, images seen, time taken."""

    def __init__(self, codebook_size: int | None, device: torch.device) -> None:
        self._pending: list[tuple[int, dict[str, Tensor]]] = []
        self._numbers: dict[str, list[float]] = {}
        self._counts = None if codebook_size is None else torch.zeros(codebook_size, dtype=torch.int64, device=device)
        self.num_samples = 0
        """Images seen since the last line."""
        self._seconds = 0.0
        self._since = time.perf_counter()
        self._skipped: tuple[int, dict[str, float]] | None = None

    def add(self, step: int, player: str, terms: Mapping[str, Tensor], grad_norm: Tensor) -> None:
        """Keeps one update's terms; those of other players than the model get the player's name in front."""
        prefix = "" if player == MODEL else f"{player}_"
        row = {f"{prefix}{name}": term.detach().float() for name, term in terms.items() if name != "indices"}
        row[f"{prefix}grad_norm"] = grad_norm
        self._pending.append((step, row))
        if self._counts is not None and "indices" in terms:
            indices = terms["indices"].flatten()
            self._counts.scatter_add_(0, indices, torch.ones_like(indices))

    def count(self, num_samples: int) -> None:
        """One more step is done, on so many images."""
        self.num_samples += num_samples

    def collect(self) -> None:
        """Brings pending numbers, averaged over processes, to the host in one transfer.

        Raises ``NonFiniteError`` for the first bad step, everywhere. Where losses are scaled, bad steps were skipped:
        they are counted, and ``close`` raises when there was nothing else.
        """
        if not self._pending:
            return
        values = iter(mean(torch.stack([term for _, row in self._pending for term in row.values()])).tolist())
        rows = [(step, {name: next(values) for name in row}) for step, row in self._pending]
        self._pending.clear()
        for step, row in rows:
            is_finite = all(math.isfinite(value) for name, value in row.items() if name.endswith(_JUDGED))
            if any(name.endswith("loss_scale") for name in row):
                self._numbers.setdefault("non_finite_share", []).append(float(not is_finite))
            elif not is_finite:
                raise NonFiniteError(step, row)
            if not is_finite:
                self._skipped = step, row
                continue
            for name, value in row.items():
                self._numbers.setdefault(name, []).append(value)

    def close(self) -> dict[str, float]:
        """Means of all terms, throughput and codebook use since the last call; starts the next window."""
        self.collect()
        if self._skipped is not None and "loss" not in self._numbers:
            raise NonFiniteError(*self._skipped)
        self._skipped = None
        summary = {name: math.fsum(values) / len(values) for name, values in self._numbers.items()}
        summary["images_per_second"] = self.num_samples / max(self.seconds, 1e-9)
        if self._counts is not None:
            summary |= _codebook_use(total(self._counts))
            self._counts.zero_()
        self._numbers = {}
        self.num_samples = 0
        self._seconds = 0.0
        self._since = time.perf_counter()
        return summary

    @property
    def seconds(self) -> float:
        """Working time of this window so far, over all sessions of the run."""
        return self._seconds + time.perf_counter() - self._since

    def restart_clock(self) -> None:
        """What has happened since the window began was no work of this run."""
        self._since = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """So that a window cut by an interruption ends with the numbers it would have had; all processes call it."""
        self.collect()
        if self._counts is not None:
            counts = total(self._counts.clone())  # from now on the first process holds what all have counted
            self._counts.copy_(counts if place().is_first else torch.zeros_like(counts))
        return {
            "numbers": self._numbers,
            "counts": self._counts,
            "num_samples": self.num_samples,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues a window cut by an interruption."""
        self._numbers = {name: list(values) for name, values in state["numbers"].items()}
        if self._counts is not None and place().is_first:
            self._counts.copy_(state["counts"])
        self.num_samples = state["num_samples"]
        self._seconds = state["seconds"]


def _codebook_use(counts: Tensor) -> dict[str, float]:
    """Share of codes used and their perplexity, exp of the entropy: 1 is collapse, V is perfectly even use."""
    shares = counts.double() / counts.sum().clamp(min=1)
    return {
        "codes_used": float((counts > 0).sum()),
        "codebook_usage": float((counts > 0).double().mean()),
        "codebook_perplexity": float(torch.special.entr(shares).sum().exp()),
    }


class CollapseWatch:
    """Stops a run whose codebook has shrunk to one code and stays so.

    Patience is a quarter of the run, at least 25 and at most 2000 steps, and begins after the warm-up: a run that
    wakes up again in that time is left alone.
    """

    def __init__(self, total_steps: int, warmup_steps: int) -> None:
        self.patience = min(max(total_steps // 4, 25), 2000)
        self.warmup_steps = warmup_steps
        self.since: int | None = None

    def look(self, step: int, summary: Mapping[str, float], codebook_size: int | None) -> None:
        """Judges one window that ended after ``step`` steps; warns at first and raises ``SickRunError`` in the end."""
        if codebook_size is None or codebook_size < 2 or "codes_used" not in summary:
            return
        if summary["codes_used"] >= 2 or step <= self.warmup_steps:
            self.since = None
            return
        if self.since is None:
            self.since = step
            warnings.warn(
                f"step {step}: one code of {codebook_size} is used; the run stops if that is so for "
                f"{self.patience} steps",
                CollapseWarning,
                stacklevel=2,
            )
        elif step - self.since >= self.patience:
            raise SickRunError(
                step - 1,
                f"the codebook has collapsed: from step {self.since} to {step} one code of {codebook_size} was used, "
                f"so every image gets the same tokens. Set codebook_init: data, lower optimizer.learning_rate, "
                f"lengthen schedule.warmup_steps or raise commitment_weight",
            )


def check_loss_scale(step: int, summary: Mapping[str, float]) -> None:
    """Judges one window that ended after ``step`` steps; raises ``SickRunError`` where float16 cannot do it."""
    for name, scale in summary.items():
        if name.endswith("loss_scale") and scale < SMALLEST_LOSS_SCALE:
            raise SickRunError(
                step - 1,
                f"{name} has fallen to {scale:g} by step {step}: gradients overflow float16 at any scale and no step "
                f"is taken. Set compute.precision to bf16 or fp32, or lower the learning rate",
            )
