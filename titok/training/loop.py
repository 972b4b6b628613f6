"""The one training loop; what differs between objectives is their ``Task``.

The randomness of a step depends on the seed and the step's number alone, and so does its batch. A checkpoint therefore
holds no generator states, and a run cut into pieces ends with the bits of an uncut one (on the same machine).
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from titok.config.training import Training
from titok.models.parameters import count_parameters
from titok.runtime.files import atomic_path, write_json
from titok.runtime.manifest import provenance
from titok.runtime.precision import PRECISIONS
from titok.runtime.processes import Agreement, place
from titok.runtime.progress import progress
from titok.runtime.seed import derive_seed, generator, seed_dropout
from titok.runtime.signals import Interrupted, StopSignals
from titok.runtime.sums import sha256_json
from titok.runtime.weights import save_model
from titok.training.bands import HealthCheck, healthy_bands
from titok.training.checkpoint import StateDirectory
from titok.training.ema import Ema
from titok.training.health import CollapseWatch, SickRunError, Window, check_loss_scale
from titok.training.metrics_log import TENSORBOARD_SECONDS, JsonLinesLog, LateTensorBoardLog, MetricsLog, NullLog, Tee
from titok.training.prefetch import ready_batches
from titok.training.shares import Shares
from titok.training.speed import prepare_modules
from titok.training.task import MODEL, Batches, Task, Turn, mean_terms
from titok.training.utilisation import Utilisation

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
    utilisation: Utilisation | None = None,
) -> None:
    """Trains ``task`` for ``training.steps`` steps and writes its model folder, log and manifest to ``output_dir``.

    ``config`` is the run's resolved settings and ``inputs`` the files it read (role to path). A state in ``state_dir``
    of the same settings and seed is continued; a finished one is only exported again. Call with weights initialised
    and everything on its device. ``evaluate`` scores the averaged model at every milestone and at the end; its numbers
    join that step's line of the log, and the last ones the manifest. ``utilisation`` adds the share of the devices'
    arithmetic that the steps use.

    Raises:
        CheckpointError: ``state_dir`` belongs to another run, is in use or is damaged.
        SickRunError: the run is ill; the last checkpoint is from before.
        Interrupted: a signal came; the state is saved.
    """
    here = place()
    run = Run(task, training, seed, config, evaluate, utilisation)
    directory = StateDirectory(
        state_dir,
        run.identity,
        keep=training.keep_checkpoints,
        seconds=training.checkpoint_seconds,
        milestone_steps=training.milestone_steps,
        background=task.device.type != "cpu",  # where the weights are in other memory than their copy
        owner=here.is_first,
    )
    with directory as state, StopSignals() as signals:
        run.resume(state, tensorboard)
        try:
            with ready_batches(batches, task.device, training.steps, run.with_draws) as ready:
                run.loop(ready, state, signals)
        except SickRunError as error:
            path = state.keep_batch(error.step, here.rank, batches.batch(error.step)._asdict())
            error.add_note(f"This process's part of that step's batch is in {path}")
            raise
        finally:
            run.log.close()
        if here.is_first:
            run.export(Path(output_dir), state, inputs)


class Run:
    """One run on its way: what is trained, what is remembered, and how far it is."""

    def __init__(
        self,
        task: Task,
        training: Training,
        seed: int,
        config: Mapping[str, Any],
        evaluate: Evaluate | None = None,
        utilisation: Utilisation | None = None,
    ) -> None:
        self.task = task
        self.evaluate = evaluate
        self.utilisation = utilisation
        self.training = training
        self.seed = seed
        self.place = place()
        task.shares = Shares.of(training, self.place)
        prepare_modules(task, training.compute)
        if self.place.world_size > 1:
            for player in task.players.values():
                player.gradients.join()
        self.config = dict(config)
        self.identity = {"seed": seed, "config": self.config}
        averaged, restarts = task.players[MODEL].parameters, training.ema_restart_steps
        self.ema = Ema(averaged, training.ema_decay, ramp=training.ema_ramp, restart_steps=restarts)
        self.window = Window(task.codebook_size, task.device)
        self.watch = CollapseWatch(training.steps, training.schedule.warmup_steps)
        self.health = HealthCheck(
            healthy_bands(task.name, task.config.get("model", {}), training.steps), training.steps
        )
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
            self.health.findings = found["health"]
            self.step, self.seconds, self.latest = found["step"], found["seconds"], found["latest"]
        if not self.place.is_first:
            self.log: MetricsLog = NullLog()
            return
        self.lines = JsonLinesLog(state.metrics_path, found["log_position"] if found is not None else 0)
        delay = 0.0 if tensorboard else TENSORBOARD_SECONDS
        self.log = Tee(self.lines, LateTensorBoardLog(state.path / "tensorboard", state.metrics_path, delay=delay))

    def loop(self, batches: Batches, state: StateDirectory, signals: StopSignals) -> None:
        """Trains, looks, logs and saves until the last step or a signal."""
        training = self.training
        # On a CPU of its own looking costs nothing; elsewhere it would make every step wait for the device.
        alone = self.place.world_size == 1 and self.task.device.type == "cpu"
        look_every = 1 if alone else training.log_every
        shown = self.step
        agreement = Agreement()
        stop = 0
        self.task.train()
        with progress(training.steps, self.step, self.task.name, hidden=not self.place.is_first) as bar:
            while self.step < training.steps and not stop:
                self.train_one_step(batches)
                is_last = self.step == training.steps
                if self.step % look_every == 0:
                    self.window.collect()
                if is_last or self.step % training.log_every == 0 or self.is_milestone():
                    self.write_line()
                    if "loss" in self.latest:  # an adversary may have had all steps to itself
                        bar.set_postfix({"loss": self.latest["loss"]})
                    bar.update(self.step - shown)
                    shown = self.step
                stop, save_now = agreement.settle(signals.received or 0, state.is_due())
                if is_last or stop or save_now or state.is_milestone(self.step):
                    self.save(state)
        agreement.finish()
        state.finish()
        if self.step < training.steps:
            if self.place.is_first:
                print(
                    f"Stopped after step {self.step} of {training.steps}; the same command continues.", file=sys.stderr
                )
            raise Interrupted(stop)

    def train_one_step(self, batches: Batches) -> None:
        """One batch, one update per player, one move of the averages."""
        step = self.step
        # Every process drops out other units; the first one those that it would drop alone.
        apart = (self.place.rank,) if self.place.rank else ()
        seed_dropout(derive_seed(self.seed, "dropout", step, *apart), self.task.device)
        batch = batches.batch(step)
        self.ema.begin_step()
        turns: dict[str, list[Turn]] = {}
        for turn in self._turns(self.task.updates(batch, step, generator(self.seed, "step", step))):
            player = self.task.players[turn.player]
            taken = turns.setdefault(turn.player, [])
            taken.append(turn)
            if player.backward(turn.terms["loss"], turn.share):
                terms = mean_terms(taken)
                grad_norm = player.step(step)
                if player.loss_scale is not None:
                    terms["loss_scale"] = player.loss_scale
                self.window.add(step, turn.player, terms, grad_norm)
        self.ema.update()
        self.window.count(len(batch.labels) * self.place.world_size)
        self.step = step + 1

    def with_draws(self, batch: Any, step: int) -> Any:
        """The batch of ``step`` with its random numbers, as the task's ``with_draws`` has it."""
        return self.task.with_draws(batch, step, generator(self.seed, "step", step))

    def _turns(self, updates: Iterator[Turn]) -> Iterator[Turn]:
        """The task's turns; its forward passes run in the settings' precision."""
        dtype = PRECISIONS[self.training.compute.precision]
        while True:
            with torch.autocast(self.task.device.type, dtype, enabled=dtype is not None):
                turn = next(updates, None)
            if turn is None:
                return
            yield turn

    def write_line(self) -> None:
        """Closes the window of steps since the last line and judges it."""
        self.seconds += self.window.seconds
        rate = self.task.players[MODEL].learning_rate(self.step - 1)
        is_first = not self.latest
        first_step = self.step - self.window.num_samples // self.training.batch_size
        self.latest = {"learning_rate": rate, **self.window.close()}
        if self.utilisation is not None:
            images_per_second = self.latest["images_per_second"]
            self.latest["mfu"] = self.utilisation.share(images_per_second, first_step, self.step)
        if self.is_milestone():
            self.latest |= self.scores()
        self.log.write(self.step, self.latest)
        if self.place.is_first:
            self.health.look(self.step, self.latest, is_first=is_first)
        check_loss_scale(self.step, self.latest)
        self.watch.look(self.step, self.latest, self.task.codebook_size)

    def is_milestone(self) -> bool:
        """Whether the model is to be scored after this step."""
        every, steps = self.training.milestone_steps, self.training.steps
        return self.evaluate is not None and (self.step == steps or (every is not None and self.step % every == 0))

    def scores(self) -> Mapping[str, float]:
        """What ``evaluate`` finds, in the first process; takes no part in the time that steps are said to take."""
        if self.evaluate is None or not self.place.is_first:
            return {}
        self.task.eval()
        with self.ema.averaged():
            found = self.evaluate(self.task.model)
        self.task.train()
        self.window.restart_clock()
        return found

    def save(self, state: StateDirectory) -> None:
        """Everything needed to go on from here as if nothing had happened."""
        state.save(
            self.step,
            {
                "window": self.window.state_dict(),  # first: it refuses to save a run that has gone bad
                "task": self.task.training_state(),
                "ema": self.ema.state_dict(),
                "single_code_since": self.watch.since,
                "health": self.health.findings,
                "seconds": self.seconds,
                "latest": self.latest,
                "log_position": self.lines.position() if self.place.is_first else 0,
            },
        )

    def export(
        self,
        directory: Path,
        state: StateDirectory,
        inputs: Mapping[str, str | Path] | None,
    ) -> None:
        """Writes the averaged model, the log and the manifest, each whole or not at all."""
        self.task.eval()
        with self.ema.averaged():
            save_model(directory, *self.task.export())
        with atomic_path(directory / "metrics.jsonl") as temporary:
            shutil.copyfile(state.metrics_path, temporary)
        steps, batch_size = self.training.steps, self.training.batch_size
        manifest = {
            "task": self.task.name,
            "steps": steps,
            "seed": self.seed,
            "wall_seconds": round(self.seconds, 3),
            "processes": self.place.world_size,
            "images_per_second": round(steps * batch_size / max(self.seconds, 1e-9), 3),
            "parameters": count_parameters(self.task.model),
            "trainable_parameters": sum(value.numel() for value in self.task.players[MODEL].parameters.values()),
            **({"start": self.task.start} if self.task.start else {}),
            "final": self.latest,
            "health": self.health.findings,
            "config": self.config,
            "config_sha256": sha256_json(self.config),
            "provenance": provenance(seed=self.seed, config=self.config, inputs=inputs, device=self.task.device),
        }
        write_json(directory / "manifest.json", manifest)
