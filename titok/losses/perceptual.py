"""How different two images look to a frozen network (specification 7.3).

Weights are read from files and never downloaded: without them building fails and names the file that is missing.
Letters: B batch, H W pixels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from titok.config.training import Perceptual
from titok.config.weight_files import PerceptualWeights, WeightFile
from titok.models.classifier import Classifier
from titok.runtime.files import FileError, sha256_file
from titok.runtime.weights import WeightsError, read_weights

State = Mapping[str, Tensor]
Network = TypeVar("Network", bound=nn.Module)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CONVNEXT_SIDE = 224
LPIPS_SHIFT = (-0.030, -0.088, -0.188)
LPIPS_SCALE = (0.458, 0.448, 0.450)
LPIPS_LAYERS = (3, 8, 15, 22, 29)
"""Positions of relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3 in torchvision's `vgg16().features`."""
LPIPS_WIDTHS = (64, 128, 256, 512, 512)
"""Channels of these layers."""
MIX_LPIPS, MIX_CONVNEXT = 1.0, 0.1
"""Weights within `lpips+convnext_s`, the released `lpips-convnext_s-1.0-0.1`."""


SOURCES = {
    "convnext_s": "torchvision's ConvNeXt_Small_Weights.IMAGENET1K_V1 (convnext_small-0c510722.pth)",
    "vgg16": "torchvision's VGG16_Weights.IMAGENET1K_V1 (vgg16-397923af.pth)",
    "lpips_heads": "the linear heads of LPIPS 0.1 for VGG16 (vgg.pth of taming-transformers)",
}
"""What the files of `perceptual.weights` must hold."""


class Frozen(nn.Module):
    """Holds a network that follows its owner from device to device but is no part of what is trained or saved.

    The network is missing from parameters(), state_dict() and train() of whoever owns this, so checkpoints stay
    small and it stays in eval mode; its parameters get no gradients. The given network itself is frozen.
    """

    network: Any

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        # Past nn.Module.__setattr__, which would register it as a submodule.
        object.__setattr__(self, "network", network.requires_grad_(False).eval())

    def _apply(self, fn: Any, recurse: bool = True) -> Frozen:
        self.network._apply(fn, recurse)
        return cast(Frozen, super()._apply(fn, recurse))

    def forward(self, *inputs: Tensor) -> Any:
        return self.network(*inputs)


class PerceptualLoss(nn.Module, ABC):
    """What all have in common: two batches of images in, one distance out."""

    @abstractmethod
    def forward(self, reconstructions: Tensor, targets: Tensor) -> Tensor:
        """Both (B, 3, H, W) in [0, 1] -> scalar mean over the batch, differentiable in the reconstructions."""


class LogitDistance(PerceptualLoss):
    """Mean squared error between the 1000 class logits of ConvNeXt-S."""

    mean: Tensor
    std: Tensor

    def __init__(self, state: State) -> None:
        """`state` is torchvision's state_dict of `convnext_small`."""
        super().__init__()
        from torchvision.models import convnext_small  # 2 s that jobs without this loss should not pay

        self.convnext = Frozen(_filled(convnext_small, state, "convnext_s"))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def logits(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1], resized to 224 x 224 -> class logits (B, 1000)."""
        images = F.interpolate(images, size=(CONVNEXT_SIDE, CONVNEXT_SIDE), mode="bilinear", antialias=True)
        return cast(Tensor, self.convnext((images - self.mean) / self.std))

    def forward(self, reconstructions: Tensor, targets: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.logits(targets)
        return F.mse_loss(self.logits(reconstructions), wanted)


class _LpipsHead(nn.Module):
    """Weighs the channels of one layer; the published heads' dropout, inactive here, stays for the names' sake."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Dropout(), nn.Conv2d(width, 1, kernel_size=1, bias=False))

    def forward(self, differences: Tensor) -> Tensor:
        return cast(Tensor, self.model(differences))


def lpips_heads() -> nn.ModuleDict:
    """The five linear heads, without weights worth keeping."""
    return nn.ModuleDict({f"lin{index}": _LpipsHead(width) for index, width in enumerate(LPIPS_WIDTHS)})


class LPIPS(PerceptualLoss):
    """Learned perceptual image patch similarity (Zhang et al. 2018) on five layers of VGG16."""

    shift: Tensor
    scale: Tensor

    def __init__(self, vgg16_state: State, heads_state: State) -> None:
        """`vgg16_state` is torchvision's state_dict of `vgg16`, whose classifier is not used; `heads_state` holds
        `lin0.model.1.weight` to `lin4.model.1.weight`, each (1, channels, 1, 1)."""
        super().__init__()
        from torchvision.models import vgg16

        features = {key: value for key, value in vgg16_state.items() if key.startswith("features.")}
        vgg = _filled(lambda: nn.ModuleDict({"features": vgg16().features}), features, "vgg16")
        layers = cast(nn.Sequential, vgg["features"])
        starts = (0, *(layer + 1 for layer in LPIPS_LAYERS[:-1]))
        self.slices = nn.ModuleList(
            Frozen(layers[start : layer + 1]) for start, layer in zip(starts, LPIPS_LAYERS, strict=True)
        )
        self.heads = nn.ModuleList(Frozen(head) for head in _filled(lpips_heads, heads_state, "lpips_heads").values())
        self.register_buffer("shift", torch.tensor(LPIPS_SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(LPIPS_SCALE).view(1, 3, 1, 1), persistent=False)

    def features(self, images: Tensor) -> list[Tensor]:
        """Images (B, 3, H, W) in [0, 1] -> five feature maps, from (B, 64, H, W) to (B, 512, H / 16, W / 16)."""
        maps = (images * 2 - 1 - self.shift) / self.scale
        collected = []
        for part in self.slices:
            maps = part(maps)
            collected.append(maps)
        return collected

    def per_image(self, reconstructions: Tensor, targets: Tensor) -> Tensor:
        """Both (B, 3, H, W) in [0, 1] -> distances (B,)."""
        with torch.no_grad():
            wanted = self.features(targets)
        distances = [
            head((_unit_length(ours) - _unit_length(theirs)).square()).mean(dim=(1, 2, 3))
            for ours, theirs, head in zip(self.features(reconstructions), wanted, self.heads, strict=True)
        ]
        return torch.stack(distances).sum(dim=0)

    def forward(self, reconstructions: Tensor, targets: Tensor) -> Tensor:
        return self.per_image(reconstructions, targets).mean()


class MixedDistance(PerceptualLoss):
    """Weighted mean of LPIPS and the ConvNeXt logits, as the released single-stage recipes use."""

    def __init__(self, lpips: LPIPS, convnext: LogitDistance) -> None:
        super().__init__()
        self.lpips = lpips
        self.convnext = convnext

    def forward(self, reconstructions: Tensor, targets: Tensor) -> Tensor:
        total = MIX_LPIPS * self.lpips(reconstructions, targets) + MIX_CONVNEXT * self.convnext(
            reconstructions, targets
        )
        return cast(Tensor, total / (MIX_LPIPS + MIX_CONVNEXT))


class FeatureDistance(PerceptualLoss):
    """Mean squared error between the features of a small classifier trained on the study's own images."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = Frozen(classifier)

    def forward(self, reconstructions: Tensor, targets: Tensor) -> Tensor:
        features = self.classifier.network.features
        with torch.no_grad():
            wanted = features(targets)
        return F.mse_loss(features(reconstructions), wanted)


def build_perceptual_loss(config: Perceptual, classifier: Classifier | None = None) -> PerceptualLoss | None:
    """The loss that `config` names, with weights from its files or around `classifier`; None for kind `none`.

    Raises WeightsError when the weights it needs are not given or do not fit.
    """
    files = config.weights
    match config.kind:
        case "none":
            return None
        case "convnext_s":
            return LogitDistance(_read_weights(files, "convnext_s"))
        case "lpips":
            return LPIPS(_read_weights(files, "vgg16"), _read_weights(files, "lpips_heads"))
        case "lpips+convnext_s":
            return MixedDistance(
                LPIPS(_read_weights(files, "vgg16"), _read_weights(files, "lpips_heads")),
                LogitDistance(_read_weights(files, "convnext_s")),
            )
        case "classifier":
            if classifier is None:
                raise WeightsError(
                    f"perceptual kind is 'classifier' but no classifier was given; "
                    f"train {config.classifier!r} first and pass it on"
                )
            return FeatureDistance(classifier)


def _unit_length(maps: Tensor) -> Tensor:
    # vector_norm has a zero gradient where all channels are 0; a square root there would give NaN.
    return maps / (torch.linalg.vector_norm(maps, dim=1, keepdim=True) + 1e-10)


def _read_weights(files: PerceptualWeights, name: str) -> State:
    file: WeightFile | None = getattr(files, name)
    if file is None or not Path(file.path).is_file():
        raise WeightsError(
            f"{name}: {'no weight file given' if file is None else f'no file {file.path}'}; needed: {SOURCES[name]}. "
            f"Fetch it once and give its path; nothing is downloaded or drawn at random"
        )
    path = Path(file.path)
    if file.sha256 is not None and sha256_file(path) != file.sha256:
        raise WeightsError(
            f"{name}: {path} has SHA-256 {sha256_file(path)}, but weights.{name}.sha256 is {file.sha256}; needed: "
            f"{SOURCES[name]}. Fetch it again, or correct the sum if you know why it changed"
        )
    try:
        return read_weights(path)[0]
    except (FileError, WeightsError) as error:
        raise WeightsError(f"{name}: cannot read {path} ({error}); needed: {SOURCES[name]}") from error


def _filled(build: Callable[[], Network], state: State, name: str) -> Network:
    """The network with the given weights; built on the meta device, so no random number is drawn."""
    with torch.device("meta"):
        network = build()
    try:
        network.load_state_dict({key: value.float() for key, value in state.items()}, assign=True)
    except (RuntimeError, AttributeError) as error:
        raise WeightsError(f"{name}: the weights do not fit; needed: {SOURCES[name]}. {error}") from error
    return network
