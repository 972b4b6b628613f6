"""``titok codes audit``: how many proxy codes are others when one thing about their making is another.

Everything is compared with float32 and Pillow on the same device. Nobody seems to have published such figures; they
say how much it matters that a dataset was saved as JPEG again, or that codes were made in half precision.
"""

from __future__ import annotations

import argparse
import functools
import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from titok.commands.codes import facts_of
from titok.commands.proxy_encoder import ProxyEncoder
from titok.data.loading import batches_of, in_order
from titok.data.rows.extraction import ViewReader, encode_views
from titok.data.rows.facts import Precision, RowsError
from titok.data.rows.verification import random_samples
from titok.data.shard_index import split_of
from titok.runtime.device import select_device
from titok.runtime.files import write_json
from titok.runtime.manifest import provenance
from titok.runtime.progress import progress

Change = Callable[[ViewReader, int], Image.Image]
"""A sample as an RGB image, in another way than `ShardReader.image`."""


class Variant(NamedTuple):
    """One way to make codes."""

    name: str
    about: str
    decode: Change | None = None
    precision: Precision = "fp32"
    batch_size: int | None = None
    """Windows at once; None: as asked for."""


class Windows(NamedTuple):
    """The windows of one sample (V, 3, S, S) uint8, and how they differ from Pillow's."""

    pixels: Tensor
    changed: Tensor
    """Share of values that differ, scalar."""
    largest: Tensor
    """Largest difference, of 255, scalar."""


def audit(options: argparse.Namespace) -> None:
    """Writes the shares as JSON and prints them as a table."""
    variants = [variant_of(name) for name in options.variants]
    encoder = ProxyEncoder.load(options.vqgan, options.device, "fp32")
    facts = facts_of(options, encoder)
    read = ViewReader(*split_of(options.data), facts)
    chosen = random_samples(len(read.samples), options.samples, options.seed)
    with progress(len(chosen) * (len(variants) + 1), desc="audit", unit="image") as bar:
        trial = Trial(encoder, read, chosen, options.batch_size, options.workers, bar.update)
        plain, _ = trial.codes(Variant("plain", "float32, Pillow"))
        rows = [trial.row(variant, plain) for variant in variants]
    report = {
        "images": len(chosen),
        "codes_per_image": plain[0].numel(),
        "compared_with": "float32, Pillow",
        "facts": facts.as_dict(),
        "variants": rows,
        "provenance": provenance(
            seed=options.seed,
            config=facts.as_dict(),
            inputs={"data": options.data, "vqgan": options.vqgan},
            device=encoder.device,
        ),
    }
    write_json(options.output, report)
    print(table(rows))


class Trial(NamedTuple):
    """The same images encoded in several ways."""

    encoder: ProxyEncoder
    read: ViewReader
    chosen: Sequence[int]
    """Numbers of the images."""
    batch_size: int
    workers: int
    tell: Callable[[int], object]
    """Hears how many images are done."""

    def codes(self, variant: Variant) -> tuple[Tensor, list[Windows]]:
        """Codes (N, V, P) and what is known about the windows, batch by batch."""
        device = select_device(str(self.encoder.device), allow_tf32=variant.precision == "tf32")
        encoder = ProxyEncoder(self.encoder.vqgan, device, variant.precision)
        reader = functools.partial(windows_of, self.read, variant.decode)
        batches = list(batches_of(self.chosen, max(1, self.batch_size // len(self.read.views))))
        codes, kept = [], []
        for windows in in_order(reader, batches, workers=self.workers, name=self.read.samples.name):
            codes.append(encode_views(encoder.codes, windows.pixels, variant.batch_size or self.batch_size))
            kept.append(windows._replace(pixels=torch.empty(0)))
            self.tell(len(windows.pixels))
        return torch.cat(codes), kept

    def row(self, variant: Variant, plain: Tensor) -> dict[str, Any]:
        """Shares of changed codes per image, and of changed pixels; ``plain`` (N, V, P) is compared with."""
        about = {"variant": variant.name, "about": variant.about}
        if variant.precision == "tf32" and self.encoder.device.type != "cuda":
            self.tell(len(self.chosen))
            return {**about, "skipped": "only CUDA devices have TF32"}
        codes, windows = self.codes(variant)
        shares = (codes != plain).flatten(1).double().mean(1)
        return {
            **about,
            "changed_codes": {
                "mean": float(shares.mean()),
                "median": float(shares.median()),
                "largest": float(shares.max()),
            },
            "unchanged_images": float((shares == 0).double().mean()),
            "changed_pixels": float(torch.cat([part.changed for part in windows]).mean()),
            "largest_pixel_difference": int(torch.cat([part.largest for part in windows]).max()),
            "changed_codes_per_image": [round(share, 6) for share in shares.tolist()],
        }


def variant_of(name: str) -> Variant:
    """The variant of a name on the command line."""
    head, _, quality = name.partition("-")
    if head == "jpeg" and quality.isdigit() and 1 <= int(quality) <= 100:
        about = f"saved by Pillow as JPEG of quality {quality} before resizing"
        return Variant(name, about, decode=functools.partial(saved_as_jpeg, int(quality)))
    match name:
        case "alone":
            return Variant(name, "windows encoded one by one: what rounding does", batch_size=1)
        case "bf16":
            return Variant(name, "encoder under autocast to bfloat16", precision="bf16")
        case "tf32":
            return Variant(name, "encoder's products in TF32", precision="tf32")
        case "torchvision":
            return Variant(name, "decoded by torchvision, resized by Pillow", decode=decoded_by_torchvision)
    raise RowsError(f"no variant is called {name!r}; allowed: alone, bf16, tf32, torchvision, jpeg-1 to jpeg-100")


def saved_as_jpeg(quality: int, read: ViewReader, index: int) -> Image.Image:
    """What is left after a converter that stores decoded images as JPEG again (as the released one does, at 100)."""
    stream = io.BytesIO()
    read.samples.image(index).save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def decoded_by_torchvision(read: ViewReader, index: int) -> Image.Image:
    """By the libjpeg that torchvision brings along."""
    from torchvision.io import ImageReadMode, decode_image

    data = torch.from_numpy(np.frombuffer(read.samples.read(index), np.uint8).copy())
    return Image.fromarray(decode_image(data, ImageReadMode.RGB).permute(1, 2, 0).numpy())


def windows_of(read: ViewReader, decode: Change | None, index: int) -> Windows:
    """The windows of a sample, decoded in some way."""
    plain = read(index)
    found = plain if decode is None else read.windows(decode(read, index), index)
    difference = (found.short() - plain.short()).abs()
    return Windows(found, (difference > 0).float().mean(), difference.max())


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as text."""
    heads = ("variant", "codes changed: mean", "median", "largest", "images unchanged", "pixels changed", "by up to")
    lines, notes = [heads], []
    for row in rows:
        if "skipped" in row:
            notes.append(f"{row['variant']}: skipped, {row['skipped']}")
            continue
        codes = row["changed_codes"]
        shares = (codes["mean"], codes["median"], codes["largest"], row["unchanged_images"], row["changed_pixels"])
        lines.append((row["variant"], *(f"{share:.2%}" for share in shares), f"{row['largest_pixel_difference']}/255"))
        notes.append(f"{row['variant']}: {row['about']}")
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    shown = [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    ]
    return "\n".join([*shown, "", *notes])
