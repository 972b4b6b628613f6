"""How sampling speed is measured as a score of its own (paper tables 1, 2, 4d: one A100, de-tokenization included)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from titok.config.section import NonNegativeInt, Operational, PositiveInt, Section


class Throughput(Section):
    """One process on one device. The paper states neither batch size nor precision; the defaults are ours. Its numbers
    cannot be reached in plain float32 (an A100 has not the arithmetic); the released script allows TF32."""

    batch_size: PositiveInt = 64
    """Images made at once."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Autocast of generator and de-tokenizer."""
    tf32: bool = False
    """Rounds the factors of float32 matrix products to 10 bits on GPUs that can."""
    warmup_batches: NonNegativeInt = 3
    """Batches before the clock starts."""
    batches: Annotated[int, Field(ge=2)] = 20
    """Batches that are timed one by one in each sitting; its speed is their median."""
    sittings: Annotated[int, Field(ge=1), Operational()] = 3
    """How often each speed is measured, every time by a process of its own, all speeds of the study in turn. Batches of
    one sitting know nothing of what differs from one to the next (neighbours, clocks, where memory lies), so that
    sittings are the repetitions that comparisons are judged by, from three on."""
