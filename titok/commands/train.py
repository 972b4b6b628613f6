"""``titok train``: builds the task that the settings describe and hands it to the one loop."""

from __future__ import annotations

import argparse
import contextlib
from functools import singledispatch
from pathlib import Path
from typing import Any, NamedTuple

import torch

from titok.commands.beginnings import begin
from titok.commands.frozen_encoders import with_frozen_encoder
from titok.commands.state_folder import identity_of, kept_config, state_name
from titok.commands.training_inputs import (
    coded_images,
    images_for_codes,
    images_for_tokens,
    images_of,
    needed,
    share,
)
from titok.config.alit_jobs import AlitStage1Job, AlitStage2Job
from titok.config.job import Job
from titok.config.jobs import JOBS
from titok.config.load import load_job
from titok.config.section import Section
from titok.config.soft_jobs import SoftDecoderJob
from titok.config.training import PERCEPTUAL_NETWORKS, Perceptual, Training
from titok.config.training_jobs import (
    ClassifierJob,
    GeneratorJob,
    PixelStageJob,
    ReconstructingJob,
    SingleStageJob,
    Stage1Job,
    Stage2Job,
    VQGANJob,
)
from titok.data.coded_images import CodedImages
from titok.data.rows.store import RowStore
from titok.data.streamed import StreamedTraining
from titok.data.tokens import TrainingTokens, load_tokens
from titok.losses.length_pixels import build_length_pixel_loss
from titok.losses.reconstruction import ReconstructionLoss, build_reconstruction_loss
from titok.models.alit import Alit
from titok.models.classifier import Classifier
from titok.models.folder import load_classifier, load_folder, load_tokenizer, load_vqgan
from titok.models.generator import build_generator
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN
from titok.runtime.device import select_device
from titok.runtime.files import sha256_file
from titok.runtime.processes import MILESTONE_SECONDS, TIMEOUT_SECONDS, joined, place
from titok.runtime.seed import seed_everything
from titok.training.alit_stage1 import AlitStage1Task
from titok.training.alit_stage2 import AlitStage2Task
from titok.training.classifier import ClassifierTask
from titok.training.generator import GeneratorTask
from titok.training.loop import Evaluate, train
from titok.training.proxy_vqgan import ProxyVQGANTask
from titok.training.single_stage import SingleStageTask
from titok.training.soft_decoder import SoftDecoderTask
from titok.training.stage1 import Stage1Task
from titok.training.stage2 import Stage2Task
from titok.training.task import Batches, Task
from titok.training.utilisation import Utilisation, device_peaks


class Run(NamedTuple):
    """Everything the loop needs to know about one training run."""

    settings: Section
    training: Training
    task: Task
    batches: Batches
    inputs: dict[str, Path]


def train_task(options: argparse.Namespace) -> None:
    """Trains one thing from its resolved settings; the output folder gets the model, its log and its manifest."""
    others_wait = options.test or options.stage_to
    patience = options.process_timeout or (MILESTONE_SECONDS if others_wait else TIMEOUT_SECONDS)
    with joined(options.device, timeout_seconds=patience) as device_name:
        _train_here(options, device_name)


def _train_here(options: argparse.Namespace, device_name: str) -> None:
    """In this process, alone or with others."""
    job: Any = load_job(options.config, JOBS[options.task], options.execution)
    # Before the run is put together, for what frozen networks make of all images is computed there.
    device = select_device(device_name, allow_tf32=job.training.compute.tf32, try_convolutions=True)
    options.device = str(device)
    seed_everything(options.seed, "init", options.task)
    run = _run_of(job, options)
    origin = begin(run.task, run.training, getattr(run.settings, "encoder_init", None))
    run.task.to(device)
    inputs = {role: sha256_file(path) for role, path in (run.inputs | origin).items()}
    settings = identity_of(run.settings)  # once: it reads all weights that the settings name
    told = {"task": options.task, "seed": options.seed, "config": settings, "inputs": inputs}
    told["config"] = kept_config(options.state, run.settings, told)
    with _closing(run.batches):
        train(
            run.task,
            run.batches,
            run.training,
            seed=options.seed,
            config=told["config"],
            state_dir=options.state / state_name(told),
            output_dir=options.output.parent,
            evaluate=_milestone_scores(options, run.settings, device),
            inputs=run.inputs | origin,
            tensorboard=options.tensorboard,
            utilisation=_utilisation(run, device),
        )


def _utilisation(run: Run, device: torch.device) -> Utilisation | None:
    """What the task costs per image beside what the devices can do, where that is known."""
    peaks = device_peaks(device)
    if peaks is None:
        return None
    from titok.training.flops import step_of_job  # counts on the meta device, for a second

    # A critic among the losses counts as the default classifier, for its settings lie in its own model file.
    step = step_of_job(run.settings)
    return Utilisation(step, run.task.name, run.training.compute, peaks, place().world_size)


def _milestone_scores(options: argparse.Namespace, job: Section, device: torch.device) -> Evaluate | None:
    """What scores the model while it trains, if the settings want that; imported late, for few runs do."""
    if not isinstance(job, ReconstructingJob) or job.evaluation is None:
        return None
    from titok.commands.milestones import milestone_scores

    return milestone_scores(options, job, device)


def _closing(batches: Batches) -> contextlib.AbstractContextManager[object]:
    """Ends the workers of batches that are read ahead."""
    if isinstance(batches, StreamedTraining | CodedImages):
        return contextlib.closing(batches)
    return contextlib.nullcontext()


@singledispatch
def _run_of(job: Job, options: argparse.Namespace) -> Run:
    """What the loop needs for a job of any kind of training; each kind is registered below."""
    raise TypeError(f"{type(job).__name__} is no training")


@_run_of.register
def _classifier(job: ClassifierJob, options: argparse.Namespace) -> Run:
    task = ClassifierTask(Classifier(job.model), job.model, job.training)
    return Run(job, job.training, task, images_of(options, job, job.training), {"data": options.data})


@_run_of.register
def _vqgan(job: VQGANJob, options: argparse.Namespace) -> Run:
    losses, inputs = _pixel_losses(options, job)
    task = ProxyVQGANTask(VQGAN(job.model), losses, job.training)
    return Run(job, job.training, task, images_of(options, job, job.training), inputs)


@_run_of.register
def _stage1(job: Stage1Job, options: argparse.Namespace) -> Run:
    vqgan = load_vqgan(needed(options, "vqgan"))
    task = Stage1Task(TiTok(job.model), vqgan, job.losses, job.training)
    inputs = {"data": options.data, "vqgan": options.vqgan}
    if job.proxy_codes is None and options.codes is None:
        return Run(job, job.training, task, images_for_codes(options, job, vqgan), inputs)
    store = RowStore.open(needed(options, "codes"))
    return Run(job, job.training, task, coded_images(options, job, store), {**inputs, "codes": store.facts_path})


@_run_of.register
def _stage2(job: Stage2Job, options: argparse.Namespace) -> Run:
    model = load_tokenizer(needed(options, "init"))
    losses, inputs = _pixel_losses(options, job)
    task = Stage2Task(model, losses, job.training)
    return Run(job, job.training, task, images_of(options, job, job.training), {**inputs, "init": options.init})


@_run_of.register
def _alit_stage1(job: AlitStage1Job, options: argparse.Namespace) -> Run:
    vqgan = load_vqgan(needed(options, "vqgan"))
    task = AlitStage1Task(Alit(job.model), vqgan, job.losses, job.training)
    inputs = {"data": options.data, "vqgan": options.vqgan}
    return Run(job, job.training, task, images_of(options, job, job.training), inputs)


@_run_of.register
def _alit_stage2(job: AlitStage2Job, options: argparse.Namespace) -> Run:
    model = load_folder(needed(options, "init"), Alit)
    critic, inputs = _perceptual(options, job.losses.perceptual)
    with torch.random.fork_rng(devices=[]):  # the adversaries' init must not move the model's
        losses = build_length_pixel_loss(job.losses, job.model.iterations, critic)
    task = AlitStage2Task(model, losses, job.training)
    return Run(job, job.training, task, images_of(options, job, job.training), {**inputs, "init": options.init})


@_run_of.register
def _single_stage(job: SingleStageJob, options: argparse.Namespace) -> Run:
    losses, inputs = _pixel_losses(options, job)
    task = SingleStageTask(TiTok(job.model), losses, job.training)
    return Run(job, job.training, task, images_of(options, job, job.training), inputs)


@_run_of.register
def _soft_decoder(job: SoftDecoderJob, options: argparse.Namespace) -> Run:
    model, origin = with_frozen_encoder(job.model, job.weights, options.encoder)
    losses, inputs = _pixel_losses(options, job)
    task = SoftDecoderTask(model, losses, job.training, job.latent_noise)
    return Run(job, job.training, task, images_for_tokens(options, job, model), inputs | origin)


@_run_of.register
def _generator(job: GeneratorJob, options: argparse.Namespace) -> Run:
    tokens, model = load_tokens(needed(options, "tokens")), build_generator(job.model)
    model.learn_lengths(tokens.lengths, tokens.labels)
    task = GeneratorTask(model, job.mask_schedule, job.losses, job.training)
    batches = TrainingTokens(tokens, job.training.batch_size, options.seed, **share())
    return Run(job, job.training, task, batches, {"tokens": options.tokens})


def _pixel_losses(
    options: argparse.Namespace, job: VQGANJob | PixelStageJob | SoftDecoderJob
) -> tuple[ReconstructionLoss, dict[str, Path]]:
    """The reconstruction losses and the files behind them."""
    critic, inputs = _perceptual(options, job.losses.perceptual)
    with torch.random.fork_rng(devices=[]):  # the discriminator's init must not move the model's
        return build_reconstruction_loss(job.losses, classifier=critic), inputs


def _perceptual(options: argparse.Namespace, settings: Perceptual) -> tuple[Classifier | None, dict[str, Path]]:
    """The critic of losses that have one, and the files behind them, the images among them."""
    inputs = {"data": needed(options, "data")}
    for name in PERCEPTUAL_NETWORKS[settings.kind]:
        file = getattr(settings.weights, name)
        if file is not None:  # else building the loss says what is missing
            inputs[name] = Path(file.path)
    if settings.kind != "classifier":
        return None, inputs
    inputs["critic"] = needed(options, "critic")
    return load_classifier(inputs["critic"]), inputs
