"""Images and rule-made perceptual networks of the loss folders (see their READMEs)."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from golden.rule import HERE, rule_tensor
from torch import Tensor, nn

from titok.losses.perceptual import PerceptualLoss

PHOTOGRAPHS = HERE.parents[2] / "shared" / "golden" / "perceptual_loss" / "inputs.npz"
"""Two photographs of ImageNet, whose terms forbid to keep them in this project."""


def photographs() -> Tensor:
    """The two photographs (2, 3, 256, 256) in [0, 1]; skips the test where they are not at hand."""
    if not PHOTOGRAPHS.exists():
        pytest.skip("the photographs of ../shared/golden are not here")
    with np.load(PHOTOGRAPHS, allow_pickle=False) as arrays:
        pixels = arrays["real_u8"].transpose(0, 3, 1, 2).astype(np.float32, order="C") / np.float32(255)
    return torch.from_numpy(pixels)


def reconstructions() -> Tensor:
    """What the official loss modules got as reconstructions of the photographs (2, 3, 256, 256), not clamped."""
    noise = np.random.Generator(np.random.PCG64(8000)).standard_normal((2, 3, 256, 256), dtype=np.float32)
    return photographs() * 0.8 + 0.1 + 0.05 * torch.from_numpy(noise)


def _shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


@cache
def convnext_state(prefix: str = "") -> dict[str, Tensor]:
    """A torchvision state of ConvNeXt-S; the official keys are ``prefix`` + ``convnext.`` + torchvision's."""
    from torchvision.models import convnext_small

    with torch.device("meta"):
        shapes = _shapes(convnext_small())
    return {key: rule_tensor(f"{prefix}convnext.{key}", shape) for key, shape in shapes.items()}


def official_vgg_key(key: str) -> str:
    """``features.5.bias`` of torchvision is ``lpips.net.slice2.5.bias`` officially: a slice begins at each pool."""
    _, position, kind = key.split(".")
    first_layer_of_slices_2_to_5 = (4, 9, 16, 23)
    part = 1 + sum(int(position) >= first for first in first_layer_of_slices_2_to_5)
    return f"lpips.net.slice{part}.{position}.{kind}"


@cache
def vgg16_state(prefix: str = "") -> dict[str, Tensor]:
    """A torchvision state of VGG16 without its classifier."""
    from torchvision.models import vgg16

    with torch.device("meta"):
        shapes = {f"features.{key}": shape for key, shape in _shapes(vgg16().features).items()}
    return {key: rule_tensor(prefix + official_vgg_key(key), shape) for key, shape in shapes.items()}


@cache
def heads_state(prefix: str = "") -> dict[str, Tensor]:
    """The five linear heads of LPIPS."""
    shapes = {f"lin{i}.model.1.weight": (1, width, 1, 1) for i, width in enumerate((64, 128, 256, 512, 512))}
    return {key: rule_tensor(f"{prefix}lpips.{key}", shape) for key, shape in shapes.items()}


def value_and_gradient(loss: PerceptualLoss) -> tuple[Tensor, Tensor]:
    """Of the loss between the reconstructions, for which the gradient is, and the photographs."""
    moving = reconstructions().requires_grad_()
    value = loss(moving, photographs())
    return value.detach(), torch.autograd.grad(value, moving)[0]


class Recorded(PerceptualLoss):
    """A loss by its value and gradient at the golden images, so that tests run a big network only once."""

    def __init__(self, loss: PerceptualLoss) -> None:
        super().__init__()
        self.value, self.gradient = value_and_gradient(loss)

    def forward(self, reconstructions: Tensor, targets: Tensor) -> Tensor:
        linear = (reconstructions * self.gradient).sum()
        return self.value + linear - linear.detach()
