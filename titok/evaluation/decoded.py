"""Images that another program's decoder made of a generator's ids: whether they are of these very ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from titok.errors import ScoreError
from titok.generation.sample_files import IMAGES
from titok.runtime.files import load_npz


def require_made_of(samples: Path, ids: Path) -> None:
    """Refuses images that say of themselves that they are of other ids or classes than those that were sampled, or
    that do not say it: a generator that was trained again has other ids.

    Args:
        samples: a `.npz` whose `ids` (N, K) and `labels` (N,) say what its images are of; these are not read.
        ids: what `titok sample` wrote without a tokenizer.

    Raises:
        ScoreError: names the first sample that differs.
        FileError: there is no such file, or it is damaged.
    """
    found, wanted = load_npz(samples, skip=(IMAGES,)), load_npz(ids)
    for name in ("ids", "labels"):
        if name not in found:
            raise ScoreError(
                f"{samples} has no array {name!r}, so that nobody can tell what its images are of; copy ids and labels "
                f"from {ids} beside the images: numpy.savez(path, {IMAGES}=images, ids=ids, labels=labels)"
            )
        if found[name].shape != wanted[name].shape:
            raise ScoreError(
                f"{samples} has {name} of shape {found[name].shape}, {ids} of {wanted[name].shape}; decode all of "
                f"them, in their order"
            )
        others = np.flatnonzero((found[name] != wanted[name]).reshape(len(wanted[name]), -1).any(axis=1))
        if len(others):
            raise ScoreError(
                f"{samples}: {name} of {len(others)} of {len(wanted[name])} images, first {others[0]}, are not those "
                f"of {ids}; its generator or sampler is another one by now, or the order: decode that file again"
            )
