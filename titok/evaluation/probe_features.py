"""Features for the linear probe (paper Figure 4b): what a frozen tokenizer's latents say about the class.

The features are the encoder's outputs before quantisation. How the paper made one vector out of K tokens is not stated;
both ways are here and the protocol names the one used. The linear classifier itself is a training task.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from titok.data.images import Images
from titok.data.transforms import floats_on
from titok.data.views import View
from titok.evaluation.findings import ScoreError
from titok.runtime.files import FileError, read_json, write_json
from titok.runtime.progress import progress

Pooling = Literal["mean", "concatenate"]
FeaturesOf = Callable[[Tensor], Tensor]
"""Images (B, 3, S, S) in [0, 1], anywhere, to features (B, F) float32 on the CPU."""
_SECONDS = 30.0
"""Between two notes of how far a file of features is."""


def pool_latents(latents: Tensor, pooling: Pooling) -> Tensor:
    """Latents (B, K, E) -> (B, E) by the mean over tokens, or (B, K * E) side by side, in float32."""
    return latents.float().mean(dim=1) if pooling == "mean" else latents.float().flatten(1)


def features_by(encode: Callable[[Tensor], Tensor], pooling: Pooling, device: torch.device) -> FeaturesOf:
    """Features by an encoder: images in [0, 1] -> latents (B, K, E) before quantisation, frozen, on ``device``.

    The function that comes back raises ``ScoreError`` for latents that are not finite.
    """

    def features_of(images: Tensor) -> Tensor:
        with torch.no_grad():
            features = pool_latents(encode(floats_on(images, device)), pooling).cpu()
        broken = int((~torch.isfinite(features)).any(dim=1).sum())
        if broken:
            raise ScoreError(
                f"{broken} of {len(features)} images have latents that are NaN or infinite; the encoder diverged"
            )
        return features

    return features_of


def stored_features(
    path: Path,
    identity: Mapping[str, Any],
    images: Images,
    views: Sequence[View],
    features_of: FeaturesOf,
    *,
    crop: int,
    batch_size: int,
) -> np.ndarray:
    """(V, N, F) float32, mapped from the file ``path``: features of every view of every image, made where missing.

    ``identity`` (plain data) says what they are of. A file of something else is replaced; one that was cut short by a
    kill is gone on with. Memory holds a batch.
    """
    note = path.with_suffix(".json")
    rows = len(views) * len(images)
    found = _found(note, path, dict(identity))
    done, columns = (found["done"], found["columns"]) if found else (0, 0)
    if found is None:
        note.unlink(missing_ok=True)  # It may speak of a file that is about to be overwritten.
    written = time.monotonic()
    with progress(rows, initial=done, desc="encode for the probe", unit="image") as bar:
        while done < rows:
            view, start = divmod(done, len(images))
            for batch in images.crops(crop, batch_size, views[view].crop_of, range(start, len(images))):
                features = features_of(batch.images).numpy()
                columns = features.shape[1]
                stored = _mapped(path, (rows, columns), "r+" if done else "w+")
                stored[done : done + len(features)] = features
                done += len(features)
                bar.update(len(features))
                if done == rows or time.monotonic() > written + _SECONDS:
                    stored.flush()
                    write_json(note, {"identity": dict(identity), "done": done, "columns": columns})
                    written = time.monotonic()
    return _mapped(path, (rows, columns), "r").reshape(len(views), len(images), columns)


def probe_accuracy(
    logits_of: Callable[[Tensor], Tensor], batches: Iterable[tuple[Tensor, Tensor]], device: torch.device
) -> float:
    """Top-1 accuracy as a fraction, over batches of features (B, F) and classes (B,).

    Raises:
        ScoreError: there are no images.
    """
    right, seen = 0, 0
    with torch.no_grad():
        for features, labels in batches:
            found = logits_of(features.to(device)).argmax(dim=1).cpu()
            right += int((found == labels).sum())
            seen += len(labels)
    if not seen:
        raise ScoreError("no images to probe; the split is empty")
    return right / seen


def _found(note: Path, path: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """How far the file is, or None when there is none of these features."""
    try:
        found: dict[str, Any] = read_json(note)
    except FileError:
        return None
    return found if found.get("identity") == identity and path.exists() else None


def _mapped(path: Path, shape: tuple[int, int], mode: Literal["r", "r+", "w+"]) -> np.memmap:
    path.parent.mkdir(parents=True, exist_ok=True)
    return np.memmap(path, np.float32, mode, shape=shape)
