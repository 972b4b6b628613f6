"""What safety costs: the time of checkpoints and of the log beside that of the steps they protect.

A stage-1 run of a published size takes steps from stored codes; then a line of its log and a checkpoint are written
several times. Their shares follow from how often a run with the default settings writes them. Where the device's memory
is not the host's, training waits for the copy only, and the disk is written beside it; both times are shown.

  python -m benchmarks.safety                                            S-128 on this machine's processor
  python -m benchmarks.safety --device cuda --variant l-32 --batch-size 8
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import write_report
from benchmarks.models import TINY, VARIANTS, Variant
from benchmarks.training import Repeated, coded_batch, image_batch, stage1
from titok.config.training import Training
from titok.runtime.device import select_device
from titok.training.checkpoint import StateDirectory
from titok.training.loop import Run


def main() -> None:
    """Runs what the options ask for."""
    options = parse_options()
    device = select_device(options.device)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        variant = TINY if options.quick else VARIANTS[options.variant]
        measured = measure(variant, options.batch_size, Path(folder), options.repeats, device)
    training = Training()
    result = {
        "variant": "tiny" if options.quick else options.variant,
        "batch_size": options.batch_size,
        **measured,
        "log_share": measured["line_seconds"] / (training.log_every * measured["step_seconds"]),
        "checkpoint_share": measured["save_seconds"] / training.checkpoint_seconds,
    }
    result["safety_share"] = result["log_share"] + result["checkpoint_share"]
    for name, value in result.items():
        print(f"{name:24s} {value:.5g}" if isinstance(value, float) else f"{name:24s} {value}")
    write_report(options, device, result)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.safety", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variant", choices=sorted(VARIANTS), default="s-128", help="(default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=4, help="(default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tiny model: shows that it runs, says nothing")
    parser.add_argument("--repeats", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="(default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where checkpoints go; the system's temporary folder, if not given")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/safety.json"), help="(default: %(default)s)")
    return parser.parse_args()


def measure(variant: Variant, batch_size: int, folder: Path, repeats: int, device: torch.device) -> dict[str, float]:
    """Seconds of a step, a line and a checkpoint (medians), and the checkpoint's bytes."""
    training = Training(batch_size=batch_size)
    batches = Repeated(coded_batch(variant, image_batch(variant, batch_size)))
    run = Run(stage1(variant, training).to(device).train(), training, seed=0, config={})
    with StateDirectory(folder, run.identity, keep=1, background=device.type != "cpu") as state:
        run.resume(state, tensorboard=False)
        run.train_one_step(batches)
        steps = _seconds(lambda: run.train_one_step(batches), 3 * repeats, device)
        lines, saves, written = [], [], []
        for _ in range(repeats):
            run.train_one_step(batches)
            lines += _seconds(run.write_line, 1, device)
            saves += _seconds(lambda: run.save(state), 1, device)
            written += _seconds(state.finish, 1, device)
        size = state.checkpoints()[0].stat().st_size
        run.log.close()
    return {
        "step_seconds": statistics.median(steps),
        "line_seconds": statistics.median(lines),
        "save_seconds": statistics.median(saves),
        "written_after_seconds": statistics.median(written),
        "checkpoint_gib": size / 2**30,
    }


def _seconds(work: Callable[[], Any], repeats: int, device: torch.device) -> list[float]:
    """Times of ``work``, the device's own included."""
    found = []
    for _ in range(repeats):
        _synchronize(device)
        begin = time.perf_counter()
        work()
        _synchronize(device)
        found.append(time.perf_counter() - begin)
    return found


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
