"""What a training reads, as its options name it: images, and what frozen networks make of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from torch import Tensor

from titok.config.soft_jobs import SoftDecoderJob
from titok.config.training import ImageTraining
from titok.config.training_jobs import Stage1Job
from titok.config.views import StoredCodes, ViewSet
from titok.data.coded_images import CodedImages, centre_codes
from titok.data.images import ImageSet
from titok.data.opening import open_images, training_images
from titok.data.rows.store import RowStore
from titok.data.streamed import StreamedSet
from titok.data.tokened_images import MOST_BYTES, TokenedImages
from titok.data.views import views_of
from titok.errors import OptionError
from titok.models.soft_tokenizer import SoftTokenizer
from titok.models.vqgan import VQGAN
from titok.runtime.files import sha256_file
from titok.runtime.processes import place
from titok.training.task import Batches


def needed(options: argparse.Namespace, name: str) -> Path:
    """The file of an option that this kind of training must have.

    Raises:
        OptionError: it is not given.
    """
    path: Path | None = getattr(options, name)
    if path is None:
        raise OptionError(f"titok train {options.task} needs --{name}; see titok train --help")
    return path


def share() -> dict[str, int]:
    """Which part of every batch this process works on."""
    here = place()
    return {"rank": here.rank, "world_size": here.world_size}


def _open(options: argparse.Namespace, job: Any) -> ImageSet | StreamedSet:
    return open_images(needed(options, "data"), job.dataset, workers=options.workers, stage_to=options.stage_to)


def images_of(options: argparse.Namespace, job: Any, training: ImageTraining) -> Batches:
    """Images, of which a training makes what it wants in every step."""
    return training_images(_open(options, job), job.dataset.image_size, training, options.seed, **share())


def images_for_codes(options: argparse.Namespace, job: Stage1Job, vqgan: VQGAN) -> Batches:
    """Images for stage 1; codes of crops that never change, of images in memory, are computed once and not per step."""
    training = job.training
    images = _open(options, job)
    if training.random_crop or training.random_flip or not isinstance(images, ImageSet):
        return training_images(images, job.dataset.image_size, training, options.seed, **share())
    crop = job.dataset.image_size
    vqgan.to(options.device)
    codes = centre_codes(images, crop, lambda batch: vqgan.tokenize(batch.to(options.device)).values)
    return CodedImages(images, crop, views_of(ViewSet()), codes, training.batch_size, options.seed, **share())


def images_for_tokens(options: argparse.Namespace, job: SoftDecoderJob, model: SoftTokenizer) -> Batches:
    """Images for a frozen encoder; tokens of crops that never change, of images in memory, are computed once."""
    training, images, crop = job.training, _open(options, job), job.dataset.image_size
    moves = training.random_crop or training.random_flip
    if moves or not isinstance(images, ImageSet) or 4 * len(images) * model.numbers > MOST_BYTES:
        return training_images(images, crop, training, options.seed, **share())
    model.eval().to(options.device)

    def encode(batch: Tensor) -> Tensor:
        return model.encode(batch.to(options.device)).cpu()

    return TokenedImages(images, crop, encode, training.batch_size, options.seed, **share())


def coded_images(options: argparse.Namespace, job: Stage1Job, store: RowStore) -> CodedImages:
    """The windows that stored codes are of, with these codes; raises ``RowsError`` where anything differs."""
    facts = store.facts
    resize, rule, crop = (job.proxy_codes or StoredCodes()).framing(job.dataset)
    wanted: dict[str, Any] = {"resize": resize, "resize_rule": rule, "crop": crop, "decoder": job.training.decoder}
    if job.proxy_codes is not None:
        wanted["views"] = job.proxy_codes.views.resolved()
    dataset = job.dataset.model_copy(update={"resize": resize, "resize_rule": rule})
    images = open_images(needed(options, "data"), dataset, workers=options.workers, stage_to=options.stage_to)
    wanted |= {"fingerprint": images.fingerprint, "vqgan_sha256": sha256_file(needed(options, "vqgan"))}
    store.require(wanted, "this training")
    return CodedImages(images, crop, facts.view_list(), store.rows, job.training.batch_size, options.seed, **share())
