"""The one place that decides how a split's images are kept, and how training reads them."""

from __future__ import annotations

from pathlib import Path

from titok.config.data import Dataset
from titok.config.training import ImageTraining
from titok.data.images import ImageSet, TrainingImages, load_images
from titok.data.parity import check_decoder
from titok.data.resized_crops import ResizedCrops, torchvisions
from titok.data.shard_index import split_of
from titok.data.staging import staged
from titok.data.streamed import StreamedSet, StreamedTraining
from titok.errors import MachineError


def open_images(
    index: Path, dataset: Dataset, *, workers: int = 0, stage_to: str | None = None
) -> ImageSet | StreamedSet:
    """The images of the split whose index is the file ``index``: in memory or streamed, as ``dataset`` says.

    ``workers``: processes that decode, 0 for this one. ``stage_to``: folder on this machine's disk, to which what is
    streamed is copied first.
    """
    open_set = load_images if dataset.in_memory else StreamedSet
    source = staged(index, stage_to) if stage_to and not dataset.in_memory else index
    return open_set(*split_of(source), dataset.resize, dataset.resize_rule, workers=workers)


def training_images(
    images: ImageSet | StreamedSet,
    crop: int,
    training: ImageTraining,
    seed: int,
    *,
    rank: int = 0,
    world_size: int = 1,
) -> TrainingImages | StreamedTraining | ResizedCrops:
    """Endless batches of ``images`` for the loop.

    Raises ``MachineError`` when the settings ask for another decoder than Pillow and it cannot be used, or differs too
    much.
    """
    if training.window_area is not None:
        windows = torchvisions(training.window_area, flips=training.random_flip)
        return ResizedCrops(images, crop, training.batch_size, seed, windows, rank=rank, world_size=world_size)
    settings = (crop, training.batch_size, seed, training.random_crop, training.random_flip)
    if isinstance(images, ImageSet):
        if training.decoder != "pillow":
            raise MachineError(
                f"training.decoder is {training.decoder!r}, but these images are kept in memory and decoded only once; "
                f"remove it, or set dataset.in_memory: false"
            )
        return TrainingImages(images, *settings, rank=rank, world_size=world_size)
    if training.decoder != "pillow":
        check_decoder(images, crop, training.decoder)
    return StreamedTraining(images, *settings, decoder=training.decoder, rank=rank, world_size=world_size)
