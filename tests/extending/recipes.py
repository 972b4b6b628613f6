"""The recipes of docs/extending.md as edits of a copy of the package: what a person would write, as little as works."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Edit:
    """One place of a file: ``new`` takes the place of ``old``, which stands there once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Recipe:
    """New files (path -> text) and edits."""

    edits: tuple[Edit, ...]
    new: dict[str, str]

    @property
    def edited(self) -> set[str]:
        """Files that are there already."""
        return {edit.file for edit in self.edits}

    def cook(self, copy: Path) -> None:
        """Applies it to a copy of the project."""
        for file, text in self.new.items():
            (copy / file).write_text(text, encoding="utf-8")
        for edit in self.edits:
            text = (copy / edit.file).read_text(encoding="utf-8")
            assert text.count(edit.old) == 1, f"{edit.file}: {edit.old!r} stands there {text.count(edit.old)} times"
            (copy / edit.file).write_text(text.replace(edit.old, edit.new), encoding="utf-8")


METRIC = Recipe(
    new={
        "titok/metrics/mean_error.py": '''\
"""Mean absolute error of pixels."""

from torch import Tensor


def mean_error(images: Tensor, originals: Tensor) -> Tensor:
    """(B, 3, H, W) uint8 twice -> (B,) float64, in grey levels of 255."""
    return (images.double() - originals.double()).abs().flatten(1).mean(dim=1)
'''
    },
    edits=(
        Edit(
            "titok/evaluation/reconstruction.py",
            "from titok.metrics.pixel import PSNR_CEILING",
            "from titok.metrics.mean_error import mean_error\nfrom titok.metrics.pixel import PSNR_CEILING",
        ),
        Edit(
            "titok/evaluation/reconstruction.py",
            "        self.window = ssim_window(*images.shape[2:])\n",
            '        self._note("mean_error", mean_error(restored, originals))\n'
            "        self.window = ssim_window(*images.shape[2:])\n",
        ),
        Edit(
            "titok/evaluation/reconstruction.py",
            '            "ssim": {"of"',
            '            "mean_error": {"of": "8-bit images"},\n            "ssim": {"of"',
        ),
        Edit(
            "titok/records/metric.py",
            '    "ssim": Metric(',
            '    "mean_error": Metric("mean error", "lower", "grey levels", decimals=1),\n    "ssim": Metric(',
        ),
        Edit(
            "titok/reporting/layouts.py",
            '{"": (TOKENS, CODEBOOK, RFID, Column("psnr"',
            '{"": (TOKENS, CODEBOOK, RFID, Column("mean_error", "reconstruction"), Column("psnr"',
        ),
    ),
)

TABLE = Recipe(
    new={},
    edits=(
        Edit("titok/config/reporting.py", '"token_kinds",\n]', '"token_kinds",\n    "pixels",\n]'),
        Edit(
            "titok/config/reporting.py",
            '    comparison: Literal["orderings", "values"]',
            '    pixels: Table | None = None\n    """How exact reconstructions are."""\n'
            '    comparison: Literal["orderings", "values"]',
        ),
        Edit(
            "titok/reporting/layouts.py",
            '    "model_zoo": Layout(',
            '    "pixels": Layout("Pixels", {"": (TOKENS, Column("psnr", "reconstruction"))}, ordered_by="psnr"),\n'
            '    "model_zoo": Layout(',
        ),
    ),
)

FIGURE = Recipe(
    new={
        "titok/reporting/figures/sharpness.py": '''\
"""How exact reconstructions are over the number of tokens."""

import pandas as pd

from titok.reporting.figures.figure import Figure, Sources
from titok.reporting.style import Drawing, finish, look, new_axes
from titok.reporting.tables import row_subject


def sharpness(rows, sources: Sources) -> Drawing:
    """A point per tokenizer."""
    points = []
    for row in rows:
        records = sources.scores.select("reconstruction", **row_subject("reconstruction", row))
        found = sources.scores.statistic(records, "psnr")
        points.append({"label": row.label, "tokens": records["num_latent_tokens"].iloc[0], "psnr": found.mean})
    data = pd.DataFrame(points)
    figure, (axes,) = new_axes(1, 4.0, 3.0)
    axes.plot(data["tokens"], data["psnr"], color=look(0).color, marker=look(0).marker, linestyle="")
    finish(axes, "Sharpness", "latent tokens K", "PSNR (dB)")
    return Drawing(figure, data)


SHARPNESS = Figure("sharpness", "Sharpness", "PSNR over K.", "Points of PSNR over K.", sharpness)
'''
    },
    edits=(
        Edit(
            "titok/config/figures.py",
            "    rates: Rates | None = None\n",
            "    rates: Rates | None = None\n    sharpness: tuple[Row, ...] = ()\n"
            '    """PSNR over K: a point per row that has a tokenizer."""\n',
        ),
        Edit(
            "titok/config/figures.py",
            "class TrainingCurves(",
            'class Sharpness(FigureInputs[tuple[Row, ...]]):\n    """PSNR over K."""\n\n    name = "sharpness"\n\n'
            "    @property\n    def scores(self) -> tuple[str, ...]:\n"
            '        """Of its rows\' reconstructions."""\n'
            "        return tuple(dict.fromkeys(row.scores[0] for row in self.told))\n\n"
            "    def rows(self) -> Iterator[tuple[Row, str]]:\n"
            '        """Its points."""\n        yield from _placed(self.told)\n\n\n'
            "class TrainingCurves(",
        ),
        Edit("titok/config/figures.py", "        TrainingCurves,\n", "        TrainingCurves,\n        Sharpness,\n"),
        Edit(
            "titok/reporting/figures/gallery.py",
            "from titok.reporting.figures.training_curves import",
            "from titok.reporting.figures.sharpness import SHARPNESS\n"
            "from titok.reporting.figures.training_curves import",
        ),
        Edit(
            "titok/reporting/figures/gallery.py",
            "        TRAINING_CURVES,\n",
            "        TRAINING_CURVES,\n        SHARPNESS,\n",
        ),
    ),
)

DATASET = Recipe(
    new={
        "titok/data/sources/arrays.py": '''\
"""Images in one npz file per split: `images` (N, H, W, 3) uint8 and `labels` (N,)."""

from pathlib import Path

import numpy as np

from titok.config.data_sources import ArraySource
from titok.data.plain_png import plain_png
from titok.data.plan import Listing
from titok.data.sources.source import ImageSource, SourceImages
from titok.runtime.files import load_npz


class _ArrayImages(SourceImages):
    def __init__(self, plan) -> None:
        super().__init__(plan)
        self._images = load_npz(plan.files[0])["images"]

    def read(self, row: np.void) -> bytes:
        return plain_png(np.ascontiguousarray(self._images[int(row["offset"])]))


class Arrays(ImageSource[ArraySource]):
    """A file per split."""

    forms = {"arrays": _ArrayImages}

    def listing(self, split: str) -> Listing:
        path = Path(getattr(self.settings, split)).expanduser()
        labels = load_npz(path)["labels"]
        about = {"file": path.name, "bytes": path.stat().st_size}
        listing = Listing("arrays", [str(path)], [str(name) for name in range(labels.max() + 1)], [about])
        for place, label in enumerate(labels):
            listing.add(f"{split}-{place:06d}", str(place), int(label), offset=place)
        return listing
'''
    },
    edits=(
        Edit("titok/config/data_sources.py", '"folder", "parquet"]', '"folder", "parquet", "arrays"]'),
        Edit(
            "titok/config/data_sources.py",
            "SOURCES: dict[",
            'class ArraySource(Source):\n    """Arrays of images."""\n\n'
            '    train: str\n    """Path of the training split."""\n'
            '    test: str\n    """Path of the evaluation split."""\n\n'
            "    @property\n    def paths(self) -> tuple[str, ...]:\n"
            '        """Both files."""\n        return (self.train, self.test)\n\n\nSOURCES: dict[',
        ),
        Edit(
            "titok/config/data_sources.py",
            '    "parquet": ParquetSource,\n',
            '    "parquet": ParquetSource,\n    "arrays": ArraySource,\n',
        ),
        Edit(
            "titok/config/data_sources.py",
            "    parquet: ParquetSource | None = None\n",
            "    parquet: ParquetSource | None = None\n    arrays: ArraySource | None = None\n",
        ),
        Edit(
            "titok/data/sources/kinds.py",
            "from titok.data.sources.cifar10 import",
            "from titok.data.sources.arrays import Arrays\nfrom titok.data.sources.cifar10 import",
        ),
        Edit(
            "titok/data/sources/kinds.py",
            '    "parquet": Parquet,\n',
            '    "parquet": Parquet,\n    "arrays": Arrays,\n',
        ),
    ),
)
