"""``titok tokbench``: TokBench's pictures through a tokenizer, in the folders that its scripts read."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from titok.commands.image_files import batches, finished_pixels, image_files, image_side, open_tokenizer, read_image
from titok.data.transforms import from_uint8
from titok.evaluation.costs import decoded, encoded
from titok.evaluation.tokbench import data_sets, placed, taken_out
from titok.models.image_tokenizer import ImageTokenizer
from titok.runtime.device import select_device
from titok.runtime.outputs import require_places
from titok.runtime.precision import inference
from titok.runtime.progress import progress


def tokbench(options: argparse.Namespace) -> None:
    """Writes every picture of every data set under its own name."""
    device = select_device(options.device)
    model = open_tokenizer(options.model, options.config, device)
    side = image_side(model, options.size)
    folders = data_sets(options.images, options.output, side)
    sets = {folder: (target, image_files([folder])) for folder, target in folders.items()}
    written = [target / file.name for target, files in sets.values() for file in files]
    require_places(written, folders, overwrite=options.overwrite)
    total = sum(len(files) for _, files in sets.values())
    with inference(device, options.precision, model), progress(total, desc="tokbench", unit="image") as bar:
        for target, files in sets.values():
            target.mkdir(parents=True, exist_ok=True)
            for part in batches(len(files), options.batch_size):
                _write(model, files[part], target, side, device)
                bar.update(len(files[part]))


def _write(model: ImageTokenizer, files: list[Path], target: Path, side: int, device: torch.device) -> None:
    squares = [placed(read_image(file), side) for file in files]
    images = from_uint8(torch.stack([torch.from_numpy(one.square.copy()).permute(2, 0, 1) for one in squares]))
    restored = finished_pixels(decoded(model, encoded(model, images.to(device))), "round", model)
    for file, where, square in zip(files, squares, restored, strict=True):
        taken_out(square, where).save(target / file.name)
