"""Photographs of noise in shards, facts about codes of them, and stand-ins for a VQGAN."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from titok.config.data import Dataset
from titok.config.model import VQGANModel
from titok.config.views import StoredCodes
from titok.data.rows.facts import Facts, codes_of_a_window
from titok.data.shards import ShardReader, ShardWriter

DATASET = Dataset(kind="folder", resize=18, image_size=16, in_memory=False)
VQGAN_MODEL = VQGANModel(
    channels=8, channel_multipliers=(1, 1, 2), num_res_blocks=1, code_dim=8, codebook_size=1024, norm_groups=4
)
"""4 x 4 codes of a window of 16 pixels."""


def write_photographs(directory: Path, count: int, *, seed: int = 0) -> None:
    """Split ``train``: JPEG files of several aspect ratios."""
    draws = np.random.Generator(np.random.PCG64(seed))
    with ShardWriter(directory, "train", class_names=["a", "b"], max_samples=10) as writer:
        for number in range(count):
            height, width = draws.integers(20, 40, 2).tolist()
            coarse = Image.fromarray(draws.integers(0, 256, (6, 6, 3), dtype=np.uint8))
            stream = io.BytesIO()
            coarse.resize((width, height), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=92)
            writer.write(f"photo-{number:03d}", stream.getvalue(), number % 2)


def facts_of(directory: Path, settings: StoredCodes) -> Facts:
    """Facts about codes of the photographs in ``directory``, by the stand-in."""
    with ShardReader(directory, "train") as reader:
        return code_facts(settings, fingerprint=reader.fingerprint, images=len(reader))


def code_facts(
    settings: StoredCodes, fingerprint: str, images: int, dataset: Dataset = DATASET, vqgan: VQGANModel = VQGAN_MODEL
) -> Facts:
    """Facts about codes of a dataset by a VQGAN."""
    return Facts.of(
        dataset,
        settings,
        fingerprint=fingerprint,
        images=images,
        network_sha256="ab" * 32,
        codebook_size=vqgan.codebook_size,
        columns=codes_of_a_window(dataset.image_size, vqgan),
    )


def encode(windows: Tensor) -> Tensor:
    """Codes (B, 16) below 1024 that tell windows apart: sums over their 16 patches."""
    patches = windows.long().unfold(2, 4, 4).unfold(3, 4, 4)  # (B, 3, 4, 4, 4, 4)
    weights = torch.arange(1, 17).reshape(4, 4)
    return (patches * weights).sum(dim=(1, 4, 5)).flatten(1) % 1024


def gap(windows: Tensor, codes: Tensor) -> Tensor:
    """One where a code is not that of ``encode``."""
    return (encode(windows) != codes).float()
