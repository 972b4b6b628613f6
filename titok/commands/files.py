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
from titok.commands.quality import coder
from titok.commands.token_files import TokenFile, settings_of, stacked
from titok.models.image_tokenizer import Ids, ImageTokenizer
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
    with (
        coder(options, model, device) as codes_of,
        inference(device, options.precision, model),
        progress(len(files), desc="tokenize", unit="image") as bar,
    ):
        for part in batches(len(files), options.batch_size):
            codes.append(codes_of(read_batch(files[part], side, files[part.stop :]).to(device)).to("cpu"))
            bar.update(len(codes[-1].values))
    values, lengths = stacked(codes)
    TokenFile(values, tuple(str(file) for file in files), settings_of(model), lengths).save(options.output)


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
            images = _decoded(model, tokens.ids(model, part, options.tokens).to(device))
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
            images = _restored(model, read_batch(files[part], side, files[part.stop :]).to(device))
            output.write(finished_pixels(images, options.rounding, model))
            bar.update(len(images))
    output.close()


def _decoded(model: ImageTokenizer, codes: Ids) -> Tensor:
    """The images of what `titok.commands.quality.coder` gives."""
    return model.detokenize(codes) if model.facts.is_discrete else model.decode(codes.values)


def _restored(model: ImageTokenizer, images: Tensor) -> Tensor:
    """Images through `titok tokenize` and `titok detokenize`, whatever `reconstruct` would do in half precision."""
    if model.facts.is_discrete:
        return model.detokenize(model.tokenize(images))
    return model.decode(model.posterior(images).mean)


def _stem(name: str) -> str:
    """``photo`` of ``folder/photo.jpg``, whichever system wrote the name."""
    return name.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
