"""``titok score probe``: a linear classifier on a frozen encoder's latents, trained and scored."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import torch

from titok.commands.extraction import made_by
from titok.commands.score_records import image_source, write_score
from titok.commands.subjects import of_tokenizer
from titok.config.load import load_job
from titok.config.measuring_jobs import ProbeJob
from titok.config.training import ImageTraining
from titok.config.views import StoredCodes
from titok.data.images import Images, ImageSet
from titok.data.opening import open_images, training_images
from titok.data.resized_crops import ResizedCrops
from titok.data.rows.extraction import ViewReader, stored_rows
from titok.data.rows.facts import PART_IMAGES, Facts
from titok.data.shard_index import split_of
from titok.data.streamed import StreamedSet
from titok.data.transforms import from_uint8
from titok.evaluation.lengths import lengths_of
from titok.evaluation.probe_features import FeatureReader, name_at, probe_accuracies
from titok.models.folder import load_image_tokenizer
from titok.models.image_tokenizer import ImageTokenizer
from titok.runtime.device import select_device
from titok.runtime.files import sha256_file
from titok.runtime.seed import seed_everything
from titok.runtime.sums import sha256_json
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
        batches = _stored(options, job, training_set, features_of, device)
    probes = _probes(job, columns, seed)
    several = len(probes) > 1
    probe = (LinearProbes(probes) if several else probes[job.probe.first.name]).to(device)
    inputs = {"model": options.model, "train": options.train, "test": options.test}
    # Other settings, seeds, models or images start afresh beside it, as trainings do.
    about = {"model": model_sum, "seed": seed, "config": job.identity(), "images": training_set.fingerprint}
    run = options.state / sha256_json(about)[:12]
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
    options.subject |= of_tokenizer(model, crop)
    metrics = _metrics(job, accuracies, lengths, shorter)
    write_score(options, job, "linear_probe", metrics, protocol, inputs, device)


def _lengths(job: ProbeJob, model: ImageTokenizer) -> tuple[int, ...]:
    """At which the first reading is probed by name; none where the settings ask for the longest code alone."""
    if job.lengths is None or model.facts.most_tokens is None:
        return ()
    return lengths_of(model.facts, job.lengths)


def _metrics(
    job: ProbeJob, accuracies: Mapping[str, float], lengths: Sequence[int], shorter: Sequence[int]
) -> dict[str, float]:
    """The first reading's accuracy; with several readings that of each, and with several lengths at each."""
    metrics = {TOP1: accuracies[job.probe.first.name]}
    if job.probe.readings:
        metrics |= {f"{TOP1}_{reading.name}": accuracies[reading.name] for reading in job.probe.all_readings}
    for length in lengths:
        metrics[f"{TOP1}@{length}"] = accuracies[name_at(length) if length in shorter else job.probe.first.name]
    return metrics


def _probes(job: ProbeJob, columns: dict[str, int], seed: int) -> dict[str, LinearProbe]:
    """A classifier for every reading, each with first weights that do not depend on what else is read."""
    probes = {}
    for name, num_features in columns.items():
        seed_everything(seed, "init", "probe", *([] if name == job.probe.first.name else [name]))
        probes[name] = LinearProbe(num_features, job.dataset.num_classes)
    return probes


def _stored(
    options: argparse.Namespace, job: ProbeJob, images: Images, features_of: FeatureReader, device: torch.device
) -> TrainingFeatures:
    """Batches of features that are computed once."""
    if job.probe.views is None:
        raise ValueError("the settings store no features")
    side = job.dataset.image_size
    facts = Facts.of(
        job.dataset,
        # In whole batches: what is computed together is then what one pass over all images computes together.
        StoredCodes(views=job.probe.views, part_images=max(1, PART_IMAGES // job.batch_size) * job.batch_size),
        fingerprint=images.fingerprint,
        images=len(images),
        network_sha256=sha256_file(options.model),
        columns=features_of(torch.zeros(1, 3, side, side)).shape[1],
        readings=features_of.names,
    )
    store = stored_rows(
        options.state / "features" / f"{facts.identity}.npy",
        facts,
        ViewReader(*split_of(options.train), facts),
        lambda windows: features_of(from_uint8(windows)),
        batch_size=job.batch_size,
        workers=options.workers,
        made_by=made_by(device, job.batch_size),
    )
    return TrainingFeatures(store.rows, images.labels, job.probe.batch_size, int(options.subject["seed"]))


def _fresh(job: ProbeJob, images: ImageSet | StreamedSet, features_of: FeatureReader, seed: int) -> FreshFeatures:
    """Batches of features of newly drawn windows, read and encoded in the largest equal parts that fit."""
    whole = job.probe.batch_size
    part = next(size for size in range(min(whole, job.batch_size), 0, -1) if whole % size == 0)
    if job.probe.windows == "random_resized_crop":
        windows = ResizedCrops(images, job.dataset.image_size, part, seed)
        return FreshFeatures(windows.batch, features_of, whole // part)
    source = training_images(images, job.dataset.image_size, ImageTraining(batch_size=part), seed)
    return FreshFeatures(source.batch, features_of, whole // part)
