"""Floors as tokenizers: a k-means codebook of raw patches, and regions of one colour.

Means by scikit-learn's mini-batch k-means (Sculley, WWW 2010), regions by scikit-image's SLIC (Achanta et al., TPAMI
2012). Both compute natively, in an order that processors choose, so that numbers agree closely and not to the bit from
one machine to another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from titok.config.floors import ImageRegions, PatchCodebook
from titok.data.images import Images
from titok.data.transforms import from_uint8, to_uint8
from titok.errors import ScoreError
from titok.metrics.region_map import map_bits
from titok.models.image_tokenizer import Ids, Reconstruction
from titok.runtime.seed import derive_seed

if TYPE_CHECKING:
    from sklearn.cluster import MiniBatchKMeans

BATCH_SIZE = 256
COLOUR_BITS = 24
"""Of a mean colour, 8 of each channel."""


class PatchMeans:
    """Images as ids of mean patches, and back.

    Args:
        means: a fitted model of V centres, each a patch (3 p p) of numbers in [0, 1].
        patch_size: p.
    """

    def __init__(self, means: MiniBatchKMeans, patch_size: int) -> None:
        self._means, self._patch_size = means, patch_size

    @classmethod
    def fit(cls, images: Images, side: int, settings: PatchCodebook, seed: int) -> PatchMeans:
        """On centre crops of ``side`` pixels of training images.

        Raises:
            ScoreError: there are fewer patches than codes.
        """
        from sklearn.cluster import MiniBatchKMeans  # half a second, which no other score needs

        each = (side // settings.patch_size) ** 2
        draws = np.random.default_rng(derive_seed(seed, "floor", "images"))
        chosen = np.sort(draws.permutation(len(images))[: math.ceil(settings.fit_patches / each)])
        batches = images.crops(side, BATCH_SIZE, only=chosen.tolist())
        patches = np.concatenate([_patches(batch.images, settings.patch_size) for batch in batches])
        patches = patches[: settings.fit_patches]
        if len(patches) < settings.codebook_size:
            raise ScoreError(
                f"{len(patches)} patches of training images cannot have {settings.codebook_size} means; take a smaller "
                f"codebook_size, or more fit_patches"
            )
        means = MiniBatchKMeans(
            settings.codebook_size,
            max_iter=settings.passes,
            n_init=3,
            random_state=derive_seed(seed, "floor", "means") % 2**32,
        )
        return cls(means.fit(patches), settings.patch_size)

    @property
    def num_parameters(self) -> int:
        """Numbers in the codebook."""
        return int(self._means.cluster_centers_.size)

    def __call__(self, images: Tensor) -> Reconstruction:
        """Images (B, 3, H, W) in [0, 1] from the nearest means, and their ids (B, K)."""
        patches = _patches(images, self._patch_size)
        ids = self._means.predict(patches).astype(np.int64)
        found = _images(self._means.cluster_centers_[ids], images.shape, self._patch_size).to(images)
        return Reconstruction(found, Ids(torch.from_numpy(ids).view(len(images), -1).to(images.device)))


class RegionColours:
    """Images as regions of one colour; counts regions and bits."""

    def __init__(self, settings: ImageRegions) -> None:
        self._settings, self._tools = settings, _scikit_image()
        self._regions = self._images = 0
        self._bits = 0.0

    @property
    def regions_per_image(self) -> float:
        """Mean over the images so far."""
        return self._regions / max(self._images, 1)

    @property
    def bits_per_image(self) -> float:
        """Of map and colours, mean over the images so far."""
        return self._bits / max(self._images, 1)

    def __call__(self, images: Tensor) -> Reconstruction:
        """Images (B, 3, H, W) in [0, 1] with each region's mean colour in 8 bits; there are no ids."""
        pixels = to_uint8(images, "round").permute(0, 2, 3, 1).cpu().numpy()
        restored = torch.from_numpy(np.stack([self._through(image) for image in pixels]))
        return Reconstruction(from_uint8(restored.permute(0, 3, 1, 2)).to(images.device))

    def _through(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8, both."""
        regions = self._cut(image)
        count = int(regions.max()) + 1
        self._images += 1
        self._regions += count
        self._bits += map_bits(regions) + count * COLOUR_BITS
        places = regions.ravel()
        sums = [np.bincount(places, weights=channel.ravel()) for channel in np.moveaxis(image, 2, 0)]
        means: np.ndarray = np.rint(np.stack(sums, axis=1) / np.bincount(places)[:, None]).astype(np.uint8)
        return means[regions]

    def _cut(self, image: np.ndarray) -> np.ndarray:
        """(H, W) numbers of regions from 0, each connected along rows and columns, which is what its map can tell."""
        segmentation, measure = self._tools
        settings = self._settings
        found = segmentation.slic(
            image,
            n_segments=settings.regions,
            compactness=settings.compactness,
            sigma=settings.smoothing,
            start_label=0,
            channel_axis=-1,
        )
        connected: np.ndarray = measure.label(found, connectivity=1, background=-1) - 1
        return connected


def _patches(images: Tensor, size: int) -> np.ndarray:
    """Images (B, C, H, W) to patches (B K, C p p) in raster order."""
    batch, channels, height, width = images.shape
    cut = images.reshape(batch, channels, height // size, size, width // size, size).permute(0, 2, 4, 1, 3, 5)
    found: np.ndarray = cut.reshape(-1, channels * size * size).cpu().numpy()
    return found


def _images(patches: np.ndarray, shape: Iterable[int], size: int) -> Tensor:
    """The way back."""
    batch, channels, height, width = shape
    cut = torch.from_numpy(patches).view(batch, height // size, width // size, channels, size, size)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, height, width)


def _scikit_image() -> tuple[Any, Any]:
    """Its segmentation and its measures, which nothing else here needs."""
    try:
        from skimage import measure, segmentation
    except ImportError as error:
        raise ScoreError("regions need the package scikit-image: pip install -e '.[floors]'") from error
    return segmentation, measure
