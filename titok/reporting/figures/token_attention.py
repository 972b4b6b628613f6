"""What latent tokens look at in images: an encoder's attention over the patches, or a decoder's to the tokens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
from PIL import Image

from titok.errors import ScoreError
from titok.reporting.figures.figure import Figure, Sources
from titok.reporting.figures.image_grid import draw_grid, read_pictures
from titok.reporting.style import Drawing
from titok.runtime.files import load_npz

if TYPE_CHECKING:
    from titok.config.figure_settings import TokenAttention

COLOURS = "viridis"
HEAT = 0.65
"""Share of the map in a picture; the rest is the image in grey."""


def token_attention(wanted: TokenAttention, picture_file: Path) -> Drawing:
    """A row for each image and code, a column for each token: patches that have much to do with it are bright.

    Args:
        picture_file: npz of `titok score lengths --pictures`.
    """
    originals, arrays = read_pictures(picture_file, "images", 5)[0], load_npz(picture_file)
    names = {f"attention_{wanted.of}", "attention_lengths", "attention_tokens"}
    if missing := names - arrays.keys():
        raise ScoreError(
            f"{picture_file} has no {', '.join(sorted(missing))}: this tokenizer has no latent tokens, or its lengths "
            f"were scored before attention was kept; score lengths again"
        )
    maps, lengths, tokens = (
        arrays[name] for name in (f"attention_{wanted.of}", "attention_lengths", "attention_tokens")
    )
    rows, lines = {}, list[dict[str, object]]()
    for image in _in_turn(len(originals), wanted.num_images):
        for place, length in enumerate(lengths):
            label = f"image {image + 1}, K = {length}"
            heats = maps[place, image]
            rows[label] = np.stack([originals[image], *(_over(originals[image], heat) for heat in heats)])
            lines += [
                {
                    "label": label,
                    "token": int(token) + 1,
                    "share": float(heat.sum() if wanted.of == "encoder" else heat.mean()),
                }
                for token, heat in zip(tokens, heats, strict=True)
                if np.isfinite(heat).all()
            ]
    drawing = draw_grid(rows, f"test image, then tokens {', '.join(str(token + 1) for token in tokens)}")
    return Drawing(drawing.figure, pd.DataFrame(lines))


def _in_turn(count: int, wanted: int) -> list[int]:
    """Places from both ends: first, last, second, last but one, ..."""
    ends = [place for pair in zip(range(count), range(count - 1, -1, -1), strict=True) for place in pair]
    return list(dict.fromkeys(ends))[:wanted]


def _over(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A map (G, G) over an image (H, W, 3) uint8 in grey, brightest where it is highest; white where there is none."""
    if not np.isfinite(heat).all():
        return np.full_like(image, 255)
    height, width = image.shape[:2]
    scaled = Image.fromarray((heat / heat.max()).astype(np.float32))
    fine = np.clip(np.asarray(scaled.resize((width, height), Image.Resampling.BILINEAR)), 0.0, 1.0)
    colours = np.asarray(mpl.colormaps[COLOURS](fine))[..., :3]
    grey = image.mean(axis=-1, keepdims=True) / 255
    return np.round(255 * (HEAT * colours + (1 - HEAT) * grey)).astype(np.uint8)


def _from_files(wanted: TokenAttention, sources: Sources) -> Drawing:
    return token_attention(wanted, sources.images[0])


TOKEN_ATTENTION = Figure(
    "token_attention",
    "What tokens look at",
    "Attention between latent tokens and the patches of some test images, averaged over heads; each map has a scale of "
    "its own, and its brightest place is its highest. Rows of one image: its codes from short to long, where each is "
    "computed anew. White: the code has no such token.",
    "A grid of maps over images, a row for each image and length, a column for each token.",
    _from_files,
)
