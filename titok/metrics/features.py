"""What looks at images for the metrics: frozen networks that give features and logits.

``ClassifierExtractor`` wraps a classifier trained in a study; its numbers compare models of that study only.
``InceptionExtractor`` is the network of published FIDs, torch-fidelity's port of the TF graph, from a local file.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from titok.runtime.weights import WeightsError

INCEPTION_SOURCE = (
    "pt_inception-2015-12-05-6726825d.pth (about 91 MiB, SHA-256 starts with 6726825d; published with pytorch-fid and "
    "torch-fidelity)"
)


class ImageFeatures(NamedTuple):
    """What a network says about a batch of images."""

    features: Tensor
    """(B, F)"""
    logits: Tensor
    """(B, C)"""
    spatial: Tensor | None = None
    """(B, S) features that still know where things are, for sFID; null: the network has none."""


class FeatureExtractor(Protocol):
    """Images in, features and logits out."""

    feature_dim: int
    """F"""
    num_logits: int
    """C"""
    spatial_dim: int | None
    """S; null: no spatial features."""
    reads_classes: bool
    """Whether column c of the logits is class c of the study, so that its verdicts can be compared with labels."""
    identity: dict[str, Any]
    """What makes its numbers its own (kind, weights' SHA-256, dtype); part of every protocol."""

    def __call__(self, images: Tensor) -> ImageFeatures:
        """uint8 images (B, 3, H, W) -> features (B, F), logits (B, C), on the images' device."""
        ...


class FeatureClassifier(Protocol):
    """The part of ``titok.models.classifier.Classifier`` that is needed here."""

    @property
    def to_logits(self) -> nn.Linear:
        """Features to class logits."""
        ...

    def features(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] -> (B, F), the input of ``to_logits``."""
        ...


class ClassifierExtractor:
    """A trained classifier as a feature extractor.

    Args:
        classifier: the module, already on the device of the images; it is put into evaluation mode.
        name: what the study calls it.
        sha256: hash of its weights file, for the protocol.
    """

    reads_classes = True
    spatial_dim: int | None = None

    def __init__(self, classifier: FeatureClassifier, name: str, sha256: str | None = None) -> None:
        if isinstance(classifier, nn.Module):
            classifier.eval().requires_grad_(False)
        self.classifier = classifier
        self.feature_dim = classifier.to_logits.in_features
        self.num_logits = classifier.to_logits.out_features
        self.identity = {"kind": "classifier", "name": name, "sha256": sha256, "dtype": "float32"}

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> ImageFeatures:
        """uint8 images (B, 3, H, W) -> features (B, F), logits (B, C) in float32."""
        features = self.classifier.features(images.float() / 255)
        return ImageFeatures(features, self.classifier.to_logits(features))


class InceptionExtractor:
    """InceptionV3 with the FID weights: 2048 pooled features, 1008 logits without bias, 17 x 17 x 7 spatial features.

    The image is resized to 299 x 299 as TensorFlow 1 did it, which is part of the network (specification 10.1), or as
    clean-fid or pytorch-fid do. Spatial features are the first 7 channels of `mixed_6/conv`, in ADM's order: row,
    column, channel.

    Args:
        weights_path: the converted TF weights; never downloaded.
        sha256: the hash the file must have; null trusts the first digits that the file's name states, if it does.
        dtype: arithmetic and result type; the official evaluator computes in float64.
        device: where to run.
        resize: how images become 299 x 299 numbers around 0; ``clean``: antialiased bicubic in floating point, as
            clean-fid; ``pytorch-fid``: see `pytorch_fid_input`.

    Raises:
        WeightsError: the file is missing, is another one than the hash says, or holds no such network.
    """

    reads_classes = False
    feature_dim = 2048
    num_logits = 1008
    spatial_dim: int | None = 17 * 17 * 7

    def __init__(
        self,
        weights_path: str | Path,
        sha256: str | None = None,
        dtype: Literal["float32", "float64"] = "float64",
        device: torch.device | str = "cpu",
        resize: Literal["tensorflow1", "clean", "pytorch-fid"] = "tensorflow1",
    ) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        state, digest = _verified_state(Path(weights_path), sha256)
        # torch-fidelity unpickles whatever file it is given; it gets a file made here from tensors read safely.
        safe_file = io.BytesIO()
        torch.save(state, safe_file)
        safe_file.seek(0)
        try:
            network = FeatureExtractorInceptionV3(
                "inception-v3-compat",
                ["2048"],
                feature_extractor_weights_path=safe_file,
            )
        except RuntimeError as error:
            raise WeightsError(
                f"{weights_path} holds another network than InceptionV3 of FID ({error}); expected {INCEPTION_SOURCE}"
            ) from error
        # Set here because torch-fidelity 0.4.0 reads its own setting "float64" as float32.
        network.feature_extractor_internal_dtype = getattr(torch, dtype)
        self.network = network.to(device, network.feature_extractor_internal_dtype)
        # torch-fidelity casts its results to float32; the hook sees them before.
        self.network.AvgPool.register_forward_hook(self._keep_pooled)
        self.network.Mixed_6d.branch1x1.register_forward_hook(self._keep_spatial)
        self._pooled: Tensor | None = None
        self._spatial: Tensor | None = None
        self.identity = {"kind": "inception", "name": "inception-v3-compat", "sha256": digest, "dtype": dtype}
        self._input: Tensor | None = None
        """What the first layer reads instead of torch-fidelity's own resize."""
        self._prepare = _PREPARATIONS.get(resize)
        if self._prepare is not None:
            self.network.Conv2d_1a_3x3.register_forward_pre_hook(lambda module, inputs: (self._input,))
            self.identity["resize"] = resize

    def _keep_pooled(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._pooled = output.flatten(1)

    def _keep_spatial(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._spatial = output[:, :7].permute(0, 2, 3, 1).flatten(1)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> ImageFeatures:
        """uint8 images (B, 3, H, W) -> features (B, 2048), logits without bias (B, 1008), in the given dtype."""
        if self._prepare is not None:
            self._input = self._prepare(images, self.network.feature_extractor_internal_dtype)
        self.network(images)
        pooled, spatial = self._pooled, self._spatial
        self._pooled = self._spatial = self._input = None
        if pooled is None:
            raise WeightsError("torch-fidelity's InceptionV3 did not reach its pooling layer; check its version")
        return ImageFeatures(pooled, pooled @ self.network.fc.weight.T, spatial)


def clean_resize(images: Tensor, side: int = 299) -> Tensor:
    """uint8 images (B, 3, H, W) to float64 (B, 3, side, side) in [0, 255]: Pillow's bicubic on floats, clipped.

    In float64, because Pillow's filter coefficients are: float32 is off by up to 0.004 grey levels.
    """
    resized = nn.functional.interpolate(
        images.double(), size=(side, side), mode="bicubic", antialias=True, align_corners=False
    )
    return resized.clamp(0, 255)


def _clean_input(images: Tensor, dtype: torch.dtype) -> Tensor:
    return (clean_resize(images).to(dtype) - 128) / 128


def pytorch_fid_input(images: Tensor, dtype: torch.dtype, side: int = 299) -> Tensor:
    """uint8 images (B, 3, H, W) to (B, 3, side, side) in [-1, 1] as pytorch-fid makes them.

    Bilinear without antialiasing, as TensorFlow 1's, but between pixels' centres, where that one begins at their
    corners; and 0 to 255 become -1 to 1, where that one divides by 128. Both move features.
    """
    resized = nn.functional.interpolate(images.to(dtype) / 255, size=(side, side), mode="bilinear", align_corners=False)
    return 2 * resized - 1


_PREPARATIONS: dict[str, Callable[[Tensor, torch.dtype], Tensor]] = {
    "clean": _clean_input,
    "pytorch-fid": pytorch_fid_input,
}


def _verified_state(path: Path, sha256: str | None) -> tuple[dict[str, Tensor], str]:
    """The tensors of a weights file and its SHA-256, checked before anything in the file is interpreted."""
    if not path.is_file():
        raise WeightsError(
            f"Inception weights {path} do not exist; put {INCEPTION_SOURCE} there, or set evaluation.extractor.weights "
            f"to where it is"
        )
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    stated = re.search(r"-([0-9a-f]{8})\.pth$", path.name)
    expected = sha256 or (stated.group(1) if stated else "")
    if not digest.startswith(expected):
        raise WeightsError(
            f"Inception weights {path} have SHA-256 {digest}, but {expected} was expected; the file is damaged or "
            f"another one: fetch {INCEPTION_SOURCE} again, or correct evaluation.extractor.sha256"
        )
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        reason = type(error).__name__  # torch's own text is about settings that are not the user's
        raise WeightsError(f"{path} is no PyTorch weights file ({reason}); expected {INCEPTION_SOURCE}") from error
    return state, digest
