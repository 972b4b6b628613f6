"""What NVIDIA's own program says about this machine's GPUs, whatever state it is in; without torch."""

from __future__ import annotations

import shutil
import subprocess
from typing import NamedTuple

PATIENCE = 60.0
"""Seconds after which it is taken to hang, as it does where a GPU has fallen off the bus."""


class Answer(NamedTuple):
    """Its lines, or why there are none."""

    lines: list[str]
    trouble: str = ""
    """Empty where it answered, and where it is not installed: then there is no GPU to be missed."""


def ask(field: str) -> Answer:
    """``nvidia-smi --query-gpu=FIELD``: a line for each GPU."""
    if shutil.which("nvidia-smi") is None:
        return Answer([])
    query = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, errors="replace", check=False, timeout=PATIENCE)
    except OSError as error:
        return Answer([], f"nvidia-smi cannot be started here ({error.strerror})")
    except subprocess.TimeoutExpired:
        return Answer([], f"nvidia-smi does not answer within {PATIENCE:g} s")
    if done.returncode:
        said = (done.stdout + done.stderr).strip().partition("\n")[0]
        return Answer([], f"nvidia-smi fails here with status {done.returncode} ({said})")
    return Answer([line.strip() for line in done.stdout.splitlines()])
