"""Any network of timm as what looks at images for a Frechet distance, with weights from a file of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from titok.metrics.features import ImageFeatures
from titok.runtime.timm_network import open_network, preprocessing_of
from titok.runtime.weights import WeightsError


class TimmEncoder:
    """A frozen network of timm; its features are what it gives to its classifier, or would give to one.

    Images are resized as a whole to the network's input by the interpolation of timm's data configuration, antialiased,
    and normalised by its mean and deviation; its central crop is left out, for what is at the border counts, too.

    Args:
        model: timm's name, with or without a tag.
        weights_path: its state_dict; never downloaded, never left at random.
        sha256: the hash the file must have; null takes the file as it is.
        device: where to run, in float32.
        names: whether tensors are known by timm's names or by their order.
        input_size: side of what the network sees; null: what timm says.

    Raises:
        WeightsError: timm has no such network, the file is another one, or does not fit it, or the network sees no
            images of this size.
        FileError: the file is missing or damaged.
    """

    reads_classes = False
    num_logits = 0
    spatial_dim: int | None = None

    def __init__(
        self,
        model: str,
        weights_path: str | Path,
        sha256: str | None = None,
        device: torch.device | str = "cpu",
        names: Literal["exact", "by_order"] = "exact",
        input_size: int | None = None,
    ) -> None:
        network, digest = open_network(model, weights_path, sha256, names)
        self.network: Any = network.eval().requires_grad_(False).to(device)
        self.feature_dim = int(cast(int, network.head_hidden_size))
        preprocessing = preprocessing_of(network, model)
        if input_size is not None:
            require_side(self.network, model, input_size, preprocessing["size"])
            preprocessing["size"] = [input_size, input_size]
        self._size, self._mode = preprocessing["size"], preprocessing["interpolation"]
        mean, std = (torch.tensor(preprocessing[name], device=device).view(1, 3, 1, 1) for name in ("mean", "std"))
        self._mean, self._std = mean, std
        self.identity = {
            "kind": "timm",
            "model": model,
            "sha256": digest,
            "dtype": "float32",
            "preprocessing": preprocessing,
            **({"names": names} if names != "exact" else {}),
        }

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> ImageFeatures:
        """uint8 images (B, 3, H, W) -> features (B, F) in float32, and no logits: (B, 0)."""
        given = (self.prepared(images) - self._mean) / self._std
        features = cast(Tensor, self.network.forward_head(self.network.forward_features(given), pre_logits=True))
        return ImageFeatures(features, features[:, :0])

    def prepared(self, images: Tensor) -> Tensor:
        """uint8 images (B, 3, H, W) -> (B, 3, S, S) in [0, 1], of the size of the network's input."""
        scaled = images.float() / 255
        resized = nn.functional.interpolate(
            scaled, size=self._size, mode=self._mode, antialias=True, align_corners=False
        )
        return resized.clamp(0, 1)


@torch.inference_mode()
def require_side(network: nn.Module, model: str, side: int, own: list[int]) -> None:
    """Raises `WeightsError` where the network sees no images (3, side, side); most transformers know one side alone."""
    device = next(network.parameters()).device
    try:
        network(torch.zeros(1, 3, side, side, device=device))
    except (AssertionError, RuntimeError) as error:
        raise WeightsError(
            f"{model} sees no images of {side} x {side} pixels ({error}); leave input_size out: its own are {own}"
        ) from error
