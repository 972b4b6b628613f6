"""Tests compute in portable arithmetic, so that they end alike on every x86-64 processor.

But for those beside the released code's numbers, which were made with a processor's own kernels, and so were their
tolerances: `make test` runs these folders apart, with TITOK_TEST_ARITHMETIC=native.

This comes before torch, numpy and scipy are imported, by whichever test.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from titok.runtime.arithmetic import use

if TYPE_CHECKING:
    import pytest

if os.environ.get("TITOK_TEST_ARITHMETIC") != "native":
    use("portable")

# Under `nohup` a hang-up is ignored, and trainings keep it so; tests send them one, whoever starts the tests.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that run Snakemake come first, that of the whole study before all: none is left to one worker at the end.

    Workers take files in this order (``--no-loadscope-reorder``); left alone, xdist takes those of many tests first.
    """

    def rank(item: pytest.Item) -> int:
        if item.get_closest_marker("workflow") is None:
            return 2
        return 0 if "finished" in getattr(item, "fixturenames", ()) else 1

    ranks: dict[Path, int] = {}
    for item in items:
        ranks[item.path] = min(rank(item), ranks.get(item.path, 2))
    items.sort(key=lambda item: ranks[item.path])
