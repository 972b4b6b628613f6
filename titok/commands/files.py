"""``titok tokenize``, ``detokenize`` and ``reconstruct``: image files to codes and back, for any checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path

from torch import Tensor

from titok.commands.image_files import (
    batches,
    finished_pixels,
    image_files,
    image_side,
    open_tokenizer,
    read_batch,
)
from titok.commands.image_output import ImageOutput
from titok.commands.token_files import TokenFile, settings_of, stacked
from titok.models.image_tokenizer import ImageTokenizer, is_vae
from titok.runtime.device import select_device
from titok.runtime.precision import inference
from titok.runtime.progress import progress


def tokenize(options: argparse.Namespace) -> None:
    """Writes the tokens of images, or the mean latents of a vae."""
    files = image_files(options.images)
    device = select_device(options.device)
    model = open_tokenizer(options.model, options.config, device)
    side = image_side(model, options.size)
    codes = []
    with inference(device, options.precision, model), progress(len(files), desc="tokenize", unit="image") as bar:
        for part in batches(len(files), options.batch_size):
            codes.append(_codes(model, read_batch(files[part], side, files[part.stop :]).to(device)).cpu())
            bar.update(len(codes[-1]))
    TokenFile(stacked(codes), tuple(str(file) for file in files), settings_of(model)).save(options.output)


def detokenize(options: argparse.Namespace) -> None:
    """Writes the images of tokens."""
    tokens = TokenFile.open(options.tokens)
    originals = [options.tokens, *map(Path, tokens.names)]
    stems = [_stem(name) for name in tokens.names]
    output = ImageOutput(options.output, stems, inputs=originals, overwrite=options.overwrite)
    device = select_device(options.device)
    model = open_tokenizer(options.model, options.config, device)
    with (
        inference(device, options.precision, model),
        progress(len(tokens.names), desc="detokenize", unit="image") as bar,
    ):
        for part in batches(len(tokens.names), options.batch_size):
            images = model.detokenize(tokens.tensor(model, part, options.tokens).to(device))
            output.write(finished_pixels(images, options.rounding, model))
            bar.update(len(images))
    output.close()


def reconstruct(options: argparse.Namespace) -> None:
    """Writes what is left of images after going through the tokenizer."""
    files = image_files(options.images)
    output = ImageOutput(options.output, [file.stem for file in files], inputs=files, overwrite=options.overwrite)
    device = select_device(options.device)
    model = open_tokenizer(options.model, options.config, device)
    side = image_side(model, options.size)
    with inference(device, options.precision, model), progress(len(files), desc="reconstruct", unit="image") as bar:
        for part in batches(len(files), options.batch_size):
            images = model.detokenize(_codes(model, read_batch(files[part], side, files[part.stop :]).to(device)))
            output.write(finished_pixels(images, options.rounding, model))
            bar.update(len(images))
    output.close()


def _codes(model: ImageTokenizer, images: Tensor) -> Tensor:
    """Images to tokens (B, K), or to the mean latents (B, K, E) of a vae."""
    if is_vae(model):
        return model.posterior(images).mean
    return model.tokenize(images)


def _stem(name: str) -> str:
    """``photo`` of ``folder/photo.jpg``, whichever system wrote the name."""
    return name.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
