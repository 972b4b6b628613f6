"""Training curves: the loss of every task over its steps, and where healthy runs start and end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.axes import Axes

from titok.reporting.collect import MissingScore
from titok.reporting.figures.figure import Figure, Sources
from titok.reporting.once import Once
from titok.reporting.runs import read_metrics_log
from titok.reporting.style import Drawing, finish, look, new_axes
from titok.runtime.files import read_json

if TYPE_CHECKING:
    from titok.config.rows import CurveRun

HEALTHY_GREY = "#777777"


def training_curves(runs: Sequence[CurveRun], log_files: Sequence[Path]) -> Drawing:
    """Loss over steps, a panel per task, a line per run (mean over its seeds, the band spans them).

    Bars at a run's ends are where a healthy one lies, as its manifest says (``titok.training.bands``).
    """
    logs = _logs_by_run(runs, log_files)
    tasks = list(dict.fromkeys(run.task for run in runs))
    columns = min(2, len(tasks))
    rows = -(-len(tasks) // columns)
    figure, axes = new_axes(columns, 4.1 * columns, 2.5 * rows, rows)
    parts, bands = [], []
    for panel, task in zip(axes, tasks, strict=False):
        for index, run in enumerate(run for run in runs if run.task == task):
            values = _loss_over_seeds(logs[run])
            style = look(index)
            panel.plot(values["step"], values["mean"], color=style.color, linestyle=style.line, label=run.label)
            panel.fill_between(values["step"], values["min"], values["max"], color=style.color, alpha=0.18, linewidth=0)
            parts.append(values.assign(task=task, label=run.label))
        bands += [{"task": task, **band} for band in _healthy_bars(panel, runs, task, log_files)]
        finish(panel, task, "step (optimiser updates)", "loss")
        panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=7.5, handlelength=2.6)
    for unused in axes[len(tasks) :]:
        unused.set_axis_off()
    data = pd.concat(parts, ignore_index=True)[["task", "label", "step", "mean", "min", "max"]]
    healthy = pd.DataFrame(bands, columns=["task", "label", "step", "min", "max"])
    return Drawing(figure, pd.concat([data, healthy], ignore_index=True) if bands else data)


def _healthy_bars(axes: Axes, runs: Sequence[CurveRun], task: str, log_files: Sequence[Path]) -> list[dict[str, Any]]:
    """Draws the distinct bands of a task's runs; returns them as lines of the figure's data."""
    bands: dict[tuple[int, float, float], str] = {}
    for run in (run for run in runs if run.task == task):
        for path in (path for path in log_files if _belongs(run, path)):
            for band in read_json(path.with_name("manifest.json"))["health"]:
                bands.setdefault((band["step"], band["low"], band["high"]), band["metric"])
    for step, low, high in bands:
        middle, half = (low + high) / 2, (high - low) / 2
        axes.errorbar(step, middle, yerr=half, color=HEALTHY_GREY, linewidth=0, elinewidth=1.2, capsize=4, zorder=3)
    return [
        {"label": f"healthy {metric}", "step": step, "min": low, "max": high}
        for (step, low, high), metric in bands.items()
    ]


def _logs_by_run(runs: Sequence[CurveRun], log_files: Sequence[Path]) -> Mapping[CurveRun, list[pd.DataFrame]]:
    """Each run's logs among the files given, one per seed, found by the folder they lie in."""
    found: dict[CurveRun, list[pd.DataFrame]] = {}
    for run in runs:
        paths = [path for path in log_files if _belongs(run, path)]
        if not paths:
            raise MissingScore(
                f"{run.directory(0)}/metrics.jsonl: no metrics log of curve {run.label!r} is among the "
                f"{len(log_files)} files given; train that run, or take its curve out of the study"
            )
        once = Once()
        for path in paths:
            once.note(_seed(path), path, f"logs of curve {run.label!r}, seed {_seed(path)}")
        found[run] = [read_metrics_log(path) for path in paths]
    return found


def _belongs(run: CurveRun, path: Path) -> bool:
    return path.parent.as_posix().endswith(f"/{run.directory(_seed(path))}")


def _seed(path: Path) -> int:
    """The one that a run's folder names, 0 where it names none."""
    seeds = [int(part.removeprefix("seed")) for part in path.parts if part.startswith("seed") and part[4:].isdigit()]
    return seeds[-1] if seeds else 0


def _loss_over_seeds(logs: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """step, mean, min, max of the loss at steps that every seed has logged."""
    losses = pd.concat([log.set_index("step")["loss"] for log in logs], axis="columns", join="inner")
    spread = {"mean": losses.mean(axis=1), "min": losses.min(axis=1), "max": losses.max(axis=1)}
    return pd.DataFrame(spread).rename_axis("step").reset_index()


def _from_files(runs: Sequence[CurveRun], sources: Sources) -> Drawing:
    return training_curves(runs, sources.logs)


TRAINING_CURVES = Figure(
    "training_curves",
    "Training curves",
    "Loss of each task as logged, of the first seed of each run. Two tasks have two kinds of loss. "
    "Grey bars: where a run that learns starts (guessing evenly, or below) and ends.",
    "Line charts of training loss over steps, one panel per task.",
    _from_files,
)
