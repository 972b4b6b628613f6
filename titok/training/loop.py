"""The one training loop; what differs between objectives is their ``Task``.

The randomness of a step depends on the seed and the step's number alone, and so does its batch. A checkpoint therefore
holds no generator states, and a run cut into pieces ends with the bits of an uncut one (on the same machine).
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from titok.config.training import Training
from titok.runtime.files import atomic_path, sha256_json, write_json
from titok.runtime.manifest import provenance
from titok.runtime.progress import progress
from titok.runtime.seed import derive_seed, generator
from titok.runtime.weights import save_model
from titok.training.checkpoint import StateDirectory
from titok.training.ema import Ema
from titok.training.health import CollapseWatch, NonFiniteError, Window
from titok.training.metrics_log import JsonLinesLog, NullLog, Tee, TensorBoardLog
from titok.training.signals import Interrupted, StopSignals
from titok.training.task import MODEL, Batches, Task

Evaluate = Callable[[nn.Module], Mapping[str, float]]
"""Scores a model that is in eval mode and holds averaged weights."""


def train(
    task: Task,
    batches: Batches,
    training: Training,
    *,
    seed: int,
    config: Mapping[str, Any],
    state_dir: str | Path,
    output_dir: str | Path,
    evaluate: Evaluate | None = None,
    inputs: Mapping[str, str | Path] | None = None,
    tensorboard: bool = False,
) -> None:
    """Trains ``task`` for ``training.steps`` steps and writes its model folder, log and manifest to ``output_dir``.

    ``config`` is the run's resolved settings and ``inputs`` the files it read (role to path). A state in ``state_dir``
    of the same settings and seed is continued; a finished one is only exported again. Call with weights initialised
    and everything on its device. ``evaluate`` scores the final model; its numbers join the manifest's.

    Raises:
        StateMismatchError, CheckpointError: ``state_dir`` belongs to another run, is in use or is damaged.
        NonFiniteError, CollapseError: the run is ill; the last checkpoint is from before.
        Interrupted: a signal came; the state is saved.
    """
    run = Run(task, training, seed, config)
    keep, seconds = training.keep_checkpoints, training.checkpoint_seconds
    with StateDirectory(state_dir, run.identity, keep=keep, seconds=seconds) as state, StopSignals() as signals:
        run.resume(state, tensorboard)
        try:
            run.loop(batches, state, signals)
        except NonFiniteError as error:
            path = state.keep_batch(error.step, batches.batch(error.step)._asdict())
            error.add_note(f"The batch of that step is in {path}")
            raise
        finally:
            run.log.close()
        run.export(Path(output_dir), state, evaluate, inputs)


class Run:
    """One run on its way: what is trained, what is remembered, and how far it is."""

    def __init__(self, task: Task, training: Training, seed: int, config: Mapping[str, Any]) -> None:
        self.task = task
        self.training = training
        self.seed = seed
        self.config = dict(config)
        self.identity = {"seed": seed, "config": self.config}
        self.ema = Ema(task.players[MODEL].parameters, training.ema_decay)
        self.window = Window(task.codebook_size, task.device)
        self.watch = CollapseWatch(training.steps, training.schedule.warmup_steps)
        self.step = 0
        self.seconds = 0.0
        self.latest: dict[str, float] = {}

    def resume(self, state: StateDirectory, tensorboard: bool) -> None:
        """Takes up the newest checkpoint, if there is one, and opens the log where that left it."""
        found = state.load()
        if found is not None:
            self.task.load_training_state(found["task"])
            self.ema.load_state_dict(found["ema"])
            self.window.load_state_dict(found["window"])
            self.watch.since = found["single_code_since"]
            self.step, self.seconds, self.latest = found["step"], found["seconds"], found["latest"]
        self.lines = JsonLinesLog(state.metrics_path, found["log_position"] if found is not None else 0)
        board = TensorBoardLog(state.path / "tensorboard", self.step) if tensorboard else NullLog()
        self.log = Tee(self.lines, board)

    def loop(self, batches: Batches, state: StateDirectory, signals: StopSignals) -> None:
        """Trains, looks, logs and saves until the last step or a signal."""
        training = self.training
        # On a CPU looking costs nothing; elsewhere it would make every step wait for the device.
        look_every = 1 if self.task.device.type == "cpu" else training.log_every
        shown = self.step
        self.task.train()
        with progress(training.steps, self.step, self.task.name) as bar:
            while self.step < training.steps and signals.received is None:
                self.train_one_step(batches)
                is_last = self.step == training.steps
                if self.step % look_every == 0:
                    self.window.collect()
                if is_last or self.step % training.log_every == 0:
                    self.write_line()
                    bar.set_postfix({"loss": self.latest["loss"]})
                    bar.update(self.step - shown)
                    shown = self.step
                if is_last or signals.received is not None or state.is_due():
                    self.save(state)
        if self.step < training.steps and signals.received is not None:
            print(f"Stopped after step {self.step} of {training.steps}; the same command continues.", file=sys.stderr)
            raise Interrupted(signals.received)

    def train_one_step(self, batches: Batches) -> None:
        """One batch, one update per player, one move of the averages."""
        step = self.step
        _seed_dropout(derive_seed(self.seed, "dropout", step), self.task.device)
        batch = batches.batch(step)
        # The forward passes run in here, one player's after another's update: the place for torch.autocast.
        for name, terms in self.task.updates(batch, step, generator(self.seed, "step", step)):
            grad_norm = self.task.players[name].update(terms["loss"], step)
            self.window.add(step, name, terms, grad_norm)
        self.ema.update()
        self.window.count(len(batch.labels))
        self.step = step + 1

    def write_line(self) -> None:
        """Closes the window of steps since the last line and judges it."""
        self.seconds += self.window.seconds
        rate = self.task.players[MODEL].learning_rate(self.step - 1)
        self.latest = {"learning_rate": rate, **self.window.close()}
        self.log.write(self.step, self.latest)
        self.watch.look(self.step, self.latest, self.task.codebook_size)

    def save(self, state: StateDirectory) -> None:
        """Everything needed to go on from here as if nothing had happened."""
        state.save(
            self.step,
            {
                "window": self.window.state_dict(),  # first: it refuses to save a run that has gone bad
                "task": self.task.training_state(),
                "ema": self.ema.state_dict(),
                "single_code_since": self.watch.since,
                "seconds": self.seconds,
                "latest": self.latest,
                "log_position": self.lines.position(),
            },
        )

    def export(
        self,
        directory: Path,
        state: StateDirectory,
        evaluate: Evaluate | None,
        inputs: Mapping[str, str | Path] | None,
    ) -> None:
        """Writes the averaged model, the log and the manifest, each whole or not at all."""
        self.task.eval()
        with self.ema.averaged():
            final = {**self.latest, **(evaluate(self.task.model) if evaluate is not None else {})}
            save_model(directory, *self.task.export())
        with atomic_path(directory / "metrics.jsonl") as temporary:
            shutil.copyfile(state.metrics_path, temporary)
        steps, batch_size = self.training.steps, self.training.batch_size
        manifest = {
            "task": self.task.name,
            "steps": steps,
            "seed": self.seed,
            "wall_seconds": round(self.seconds, 3),
            "images_per_second": round(steps * batch_size / max(self.seconds, 1e-9), 3),
            "parameters": sum(parameter.numel() for parameter in self.task.model.parameters()),
            "trainable_parameters": sum(value.numel() for value in self.task.players[MODEL].parameters.values()),
            "final": final,
            "config": self.config,
            "config_sha256": sha256_json(self.config),
            "provenance": provenance(seed=self.seed, config=self.config, inputs=inputs, device=self.task.device),
        }
        write_json(directory / "manifest.json", manifest)


def _seed_dropout(seed: int, device: torch.device) -> None:
    """Seeds the generators that dropout uses; ``torch.manual_seed`` would visit every backend, at 0.1 ms a step."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
