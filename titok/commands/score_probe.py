"""``titok score probe``: a linear classifier on a frozen encoder's latents, trained and scored."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from titok.commands.score_records import image_source, write_score
from titok.config.load import load_job
from titok.config.measuring_jobs import ProbeJob
from titok.config.section import fingerprint
from titok.config.training import ImageTraining
from titok.data.images import Images, ImageSet
from titok.data.opening import open_images, training_images
from titok.data.resized_crops import ResizedCrops
from titok.data.streamed import StreamedSet
from titok.data.view_rows import RowsOf, rows_of_views
from titok.data.views import views_of
from titok.evaluation.lengths import lengths_of
from titok.evaluation.probe_features import FeatureReader, name_at, probe_accuracies
from titok.models.folder import load_image_tokenizer
from titok.models.image_tokenizer import ImageTokenizer
from titok.runtime.device import select_device
from titok.runtime.files import sha256_file
from titok.runtime.seed import seed_everything
from titok.training.loop import train
from titok.training.probe import FreshFeatures, LinearProbe, LinearProbes, ProbeTask, TrainingFeatures

WINDOWS = {
    "crop": "random crop and flip, anew in every update",
    "random_resized_crop": "random resized crop (8 to 100 % of the area, 3:4 to 4:3) and flip, anew in every update",
}
TOP1 = "linear_probe_top1"


def linear_probe(options: argparse.Namespace) -> None:
    """Trains a linear classifier on the frozen encoder's latents and scores it on the test images.

    Features of fixed views are kept in a file below ``options.state``; stopped, the same command goes on.
    """
    job = load_job(options.config, ProbeJob, options.execution)
    device = select_device(options.device)
    model = load_image_tokenizer(options.model, device)
    lengths = _lengths(job, model)
    shorter = [length for length in lengths if length != model.facts.most_tokens]
    features_of = FeatureReader(model, job.probe.all_readings, device, shorter)
    training_set, test_set = (
        open_images(path, job.dataset, workers=options.workers) for path in (options.train, options.test)
    )
    crop, seed, model_sum = job.dataset.image_size, int(options.subject["seed"]), sha256_file(options.model)
    columns = {name: part.shape[1] for name, part in features_of.by_name(next(test_set.crops(crop, 1)).images).items()}
    batches: TrainingFeatures | FreshFeatures
    if job.probe.views is None:
        batches = _fresh(job, training_set, features_of, seed)
    else:
        batches = _stored(job, training_set, features_of, seed, options.state, {"model": model_sum, "lengths": shorter})
    probes = _probes(job, columns, seed)
    several = len(probes) > 1
    probe = (LinearProbes(probes) if several else probes[job.probe.first.name]).to(device)
    inputs = {"model": options.model, "train": options.train, "test": options.test}
    # Other settings, seeds, models or images start afresh beside it, as trainings do.
    about = {"model": model_sum, "seed": seed, "config": job.identity(), "images": training_set.fingerprint}
    run = options.state / fingerprint(about)[:12]
    train(
        ProbeTask(probe, job.probe),
        batches,
        job.probe,
        seed=seed,
        config=job.identity(),
        state_dir=run,
        output_dir=run / "model",
        inputs=inputs,
    )
    tested = ((features_of(batch.images), batch.labels) for batch in test_set.crops(crop, job.batch_size))
    by_name = probe.eval() if several else lambda features: {job.probe.first.name: probe(features)}
    accuracies = probe_accuracies(by_name, tested, device)
    metrics = {TOP1: accuracies[job.probe.first.name]}
    if job.probe.readings:
        metrics |= {f"{TOP1}_{reading.name}": accuracies[reading.name] for reading in job.probe.all_readings}
    for length in lengths:
        metrics[f"{TOP1}@{length}"] = accuracies[name_at(length) if length in shorter else job.probe.first.name]
    protocol = {
        "features": job.probe.features,
        "of": "latents before quantisation",
        "training": job.probe.resolved(),
        "training_windows": WINDOWS[job.probe.windows] if job.probe.views is None else "stored views",
        "train": image_source(training_set, job.dataset),
        "test": image_source(test_set, job.dataset),
        # By name and not by width, which K and the model's size decide: a table's column holds all of them.
        **({"readings": [reading.name for reading in job.probe.all_readings]} if job.probe.readings else {}),
    }
    write_score(options, job, "linear_probe", metrics, protocol, inputs, device)


def _lengths(job: ProbeJob, model: ImageTokenizer) -> tuple[int, ...]:
    """At which the first reading is probed by name; none where the settings ask for the longest code alone."""
    if job.lengths is None or model.facts.most_tokens is None:
        return ()
    return lengths_of(model.facts, job.lengths)


def _probes(job: ProbeJob, columns: dict[str, int], seed: int) -> dict[str, LinearProbe]:
    """A classifier for every reading, each with first weights that do not depend on what else is read."""
    probes = {}
    for name, num_features in columns.items():
        seed_everything(seed, "init", "probe", *([] if name == job.probe.first.name else [name]))
        probes[name] = LinearProbe(num_features, job.dataset.num_classes)
    return probes


def _stored(
    job: ProbeJob, images: Images, features_of: RowsOf, seed: int, state: Path, of: Mapping[str, Any]
) -> TrainingFeatures:
    """Batches of features that are computed once; ``of`` says what else than settings and images decides them."""
    if job.probe.views is None:
        raise ValueError("the settings store no features")
    views = views_of(job.probe.views)
    identity = {
        **{name: value for name, value in of.items() if value},
        "features": job.probe.features,
        **({"readings": [reading.name for reading in job.probe.readings]} if job.probe.readings else {}),
        "views": [view.spec() for view in views],
        "images": image_source(images, job.dataset),
    }
    file = state / "features" / f"{fingerprint(identity)[:12]}.f32"
    features = rows_of_views(
        file,
        identity,
        images,
        views,
        features_of,
        np.float32,
        crop=job.dataset.image_size,
        batch_size=job.batch_size,
        desc="encode for the probe",
    )
    return TrainingFeatures(features, images.labels, job.probe.batch_size, seed)


def _fresh(job: ProbeJob, images: ImageSet | StreamedSet, features_of: RowsOf, seed: int) -> FreshFeatures:
    """Batches of features of newly drawn windows, read and encoded in the largest equal parts that fit."""
    whole = job.probe.batch_size
    part = next(size for size in range(min(whole, job.batch_size), 0, -1) if whole % size == 0)
    if job.probe.windows == "random_resized_crop":
        windows = ResizedCrops(images, job.dataset.image_size, part, seed)
        return FreshFeatures(windows.batch, features_of, whole // part)
    source = training_images(images, job.dataset.image_size, ImageTraining(batch_size=part), seed)
    return FreshFeatures(source.batch, features_of, whole // part)
