"""One training step under each setting of ``titok.config.training.Compute``: seconds, memory, and against the default.

python -m benchmarks.settings                                       S-128's stage 1 on this machine's processor
python -m benchmarks.settings --device cuda --variant l-32 --batch-size 32
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.limits import best, candidates
from benchmarks.measure import Case, Row, measure, write_report
from benchmarks.models import TINY, VARIANTS, Variant
from benchmarks.training import Repeated, coded_batch, image_batch, pixel_losses, stage1
from titok.config.training import Compute, Training
from titok.models.vqgan import VQGAN
from titok.runtime.device import select_device
from titok.training.loop import Run
from titok.training.proxy_vqgan import ProxyVQGANTask
from titok.training.task import Batch, Task

DEFAULT = "as it is"


def main() -> None:
    """Runs what the options ask for."""
    options = parse_options()
    device = select_device(options.device)
    limits = {"fp32": best(candidates(device, "fp32", quick=options.quick))}
    variant = TINY if options.quick else VARIANTS[options.variant]
    chosen = cases(variant, options.batch_size, device, compiled=not options.quick)
    rows = [measure(case, device, limits, options.repeats, 0.0) for case in chosen]
    shown = [compared(row, rows) for row in rows]
    for line in shown:
        amounts = "{seconds:8.3f} s {peak_memory_gib:7.2f} GiB {time_ratio:6.2f} {memory_ratio:6.2f}"
        print(f"{line['name']:44s} {amounts.format(**line)}")
    write_report(options, device, {"rows": shown})


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.settings", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variant", choices=sorted(VARIANTS), default="s-128", help="(default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=4, help="(default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tiny model, nothing compiled: shows that it runs")
    parser.add_argument("--device", default="cpu", help="(default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/settings.json"), help="(default: %(default)s)")
    return parser.parse_args()


def cases(variant: Variant, batch_size: int, device: torch.device, *, compiled: bool = True) -> Iterator[Case]:
    """Stage 1 from stored codes under every setting; the layout of convolutions on the VQGAN, which is made of them."""
    images = image_batch(variant, batch_size)
    coded = coded_batch(variant, images)
    settings = {
        DEFAULT: Compute(),
        "precision: bf16": Compute(precision="bf16"),
        "activation_checkpointing": Compute(activation_checkpointing=True),
        "micro_batch_size: half": Compute(micro_batch_size=max(1, batch_size // 2)),
    }
    if compiled:
        settings["compile"] = Compute(compile=True)
    for name, compute in settings.items():
        training = Training(batch_size=batch_size, compute=compute)
        yield _case(f"stage 1, {name}", training, lambda training=training: stage1(variant, training), coded, device)
    for name, compute in {DEFAULT: Compute(), "channels_last": Compute(channels_last=True)}.items():
        training = Training(batch_size=batch_size, compute=compute)

        def vqgan(training: Training = training) -> Task:
            return ProxyVQGANTask(VQGAN(variant.vqgan), pixel_losses(1.0), training)

        yield _case(f"proxy VQGAN, {name}", training, vqgan, images, device)


def _case(name: str, training: Training, build: Any, content: Batch, device: torch.device) -> Case:
    def stepper() -> Any:
        run = Run(build().to(device).train(), training, seed=0, config={})
        return lambda: run.train_one_step(Repeated(content))

    return Case(name, "images", training.batch_size, stepper)


def compared(row: Row, rows: list[Row]) -> dict[str, Any]:
    """A row with its time and memory as parts of those of the same task as it is."""
    task = row.name.split(",")[0]
    plain = next(other for other in rows if other.name == f"{task}, {DEFAULT}")
    memory = (row.peak_memory_gib or 0.0) / (plain.peak_memory_gib or 1.0)
    ratios = {"time_ratio": round(row.seconds / plain.seconds, 3), "memory_ratio": round(memory, 3)}
    return row.as_dict() | ratios


if __name__ == "__main__":
    main()
