"""``titok generate --class 207``: images of classes, for anyone with a generator and its tokenizer."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from titok.commands.image_files import batches, finished_pixels, open_tokenizer
from titok.commands.image_output import ImageOutput
from titok.commands.token_files import generated_names
from titok.config.load import load_job
from titok.config.sampling import PUBLISHED_SAMPLERS, Sampler
from titok.errors import OptionError
from titok.generation.generate import generate_lengths, named_sampler
from titok.models.generator import MaskGIT
from titok.models.hub import load
from titok.models.image_tokenizer import Ids, ImageTokenizer
from titok.models.published_generators import PUBLISHED_GENERATORS
from titok.runtime.device import select_device
from titok.runtime.files import write_json
from titok.runtime.precision import inference
from titok.runtime.progress import progress
from titok.runtime.weights import WeightsError


def generate_images(options: argparse.Namespace) -> None:
    """Writes PNG files, an ``.npz`` (images, labels, tokens) or the tokens alone as ``.json``."""
    labels = np.repeat(np.array(options.classes, dtype=np.int64), options.per_class)
    names = generated_names(labels.tolist(), options.seed)
    only_tokens = options.output.suffix == ".json"
    output = None if only_tokens else ImageOutput(options.output, names, overwrite=options.overwrite)
    device = select_device(options.device)
    generator = _generator(options.generator, options.config, device)
    sampler = _sampler(options.sampler, generator)
    tokenizer = None if only_tokens else _tokenizer(options, generator, device)
    made: list[Ids] = []
    with (
        inference(device, options.precision, generator, tokenizer),
        progress(len(labels), desc="generate", unit="image") as bar,
    ):
        for part in batches(len(labels), options.batch_size):
            places = np.arange(part.start, part.stop)
            found = generate_lengths(generator, labels[part], sampler, seed=options.seed, indices=places)
            made.append(Ids(*found))
            if tokenizer is not None and output is not None:
                output.write(finished_pixels(tokenizer.detokenize(made[-1]), "truncate", tokenizer))
            bar.update(len(places))
    codes = torch.cat([ids.values for ids in made]).cpu().numpy()
    known = [ids.lengths for ids in made if ids.lengths is not None]
    lengths = torch.cat(known).cpu().numpy() if known else None
    if output is not None:
        output.close(labels=labels, tokens=codes, **({} if lengths is None else {"lengths": lengths}))
        return
    samples = _samples(labels, codes, lengths)
    write_json(options.output, {"sampler": sampler.resolved(), "seed": options.seed, "samples": samples})


def _samples(labels: np.ndarray, codes: np.ndarray, lengths: np.ndarray | None) -> list[dict[str, Any]]:
    """The samples of a JSON file, each with its class and tokens; where lengths differ, with its own."""
    if lengths is None:
        pairs = zip(labels.tolist(), codes.tolist(), strict=True)
        return [{"class": label, "tokens": code} for label, code in pairs]
    triples = zip(labels.tolist(), lengths.tolist(), codes, strict=True)
    return [{"class": label, "length": length, "tokens": code[:length].tolist()} for label, length, code in triples]


def _generator(source: str, config: Path | None, device: torch.device) -> MaskGIT:
    model = load(source, config=config, device=device)
    if not isinstance(model, MaskGIT):
        raise WeightsError(f"{source} holds a {type(model).__name__}; a generator is needed")
    return model


def _tokenizer(options: argparse.Namespace, generator: MaskGIT, device: torch.device) -> ImageTokenizer:
    if options.tokenizer is None:
        raise OptionError("images need --tokenizer; without one, write tokens: --output tokens.json")
    tokenizer = open_tokenizer(options.tokenizer, options.config, device)
    wanted = (generator.config.num_tokens, generator.config.codebook_size)
    facts = tokenizer.facts
    found = (facts.most_tokens or wanted[0], facts.codebook_size or wanted[1])
    if wanted != found or not facts.is_discrete:
        raise OptionError(
            f"the generator makes {wanted[0]} tokens of {wanted[1]} codes, {options.tokenizer} reads {found[0]} of "
            f"{found[1]}; use the tokenizer it was trained with"
        )
    return tokenizer


def _sampler(wanted: str | None, generator: MaskGIT) -> Sampler:
    """Settings by name, from a YAML file, or those published with this very generator."""
    if wanted is not None:
        return load_job(Path(wanted), Sampler) if wanted.endswith((".yaml", ".yml")) else named_sampler(wanted)
    for name, config in PUBLISHED_GENERATORS.items():
        if config == generator.config:
            return PUBLISHED_SAMPLERS[name]
    raise OptionError(
        f"no sampler is published for this generator; name one with --sampler: {', '.join(PUBLISHED_SAMPLERS)} or a "
        f"YAML file with settings"
    )
