"""Features for the linear probe (paper Figure 4b): what a frozen tokenizer's latents say about the class.

The author says "global pooling", but not of what: the bottleneck's few numbers per token, the encoder's own width, or
the codes. All are here, averaged over the tokens or side by side, from one pass; the protocol names those used. The
linear classifier itself is a training task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from titok.config.probe import Reading
from titok.data.transforms import floats_on
from titok.errors import ScoreError
from titok.models.image_tokenizer import ImageTokenizer, bottleneck_at


def pool_latents(latents: Tensor, pooling: str) -> Tensor:
    """Latents (B, K, E) -> (B, E) by the mean over tokens, or (B, K * E) side by side, in float32."""
    return latents.float().mean(dim=1) if pooling == "mean" else latents.float().flatten(1)


def name_at(length: int) -> str:
    """What the first reading is called of a code of so many tokens."""
    return f"at_{length}"


class FeatureReader:
    """Several readings of images side by side, from one pass of a frozen tokenizer.

    Args:
        model: on ``device``; what can be read of it is its ``readable``.
        readings: at least one, in the order of the columns.
        device: where the model is.
        lengths: at which, besides, the first reading is read, of a tokenizer that has them.

    Raises:
        ScoreError: the model has no such features.
    """

    def __init__(
        self, model: ImageTokenizer, readings: Sequence[Reading], device: torch.device, lengths: Sequence[int] = ()
    ) -> None:
        self._model, self._device = model, device
        self._readings: dict[str, tuple[str, str]] = {each.name: (each.of, each.pooling) for each in readings}
        self._readings |= {name_at(length): (bottleneck_at(length), readings[0].pooling) for length in lengths}
        missing = {reading.of for reading in readings} - model.readable
        if missing:
            raise ScoreError(
                f"probe.readings asks for {', '.join(sorted(missing))}, which this {type(model).__name__} has not; "
                f"allowed for it: of: {', '.join(sorted(model.readable))}"
            )

    @property
    def names(self) -> list[str]:
        """Of the readings, in the order of their columns."""
        return list(self._readings)

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B, 3, S, S), floats in [0, 1] or 8-bit, to features (B, F) float32 on the CPU: all readings' columns.

        Raises:
            ScoreError: some are not finite.
        """
        features = torch.cat(list(self.by_name(images).values()), dim=1)
        broken = int((~torch.isfinite(features)).any(dim=1).sum())
        if broken:
            raise ScoreError(
                f"{broken} of {len(features)} images have latents that are NaN or infinite; the encoder diverged"
            )
        return features

    def by_name(self, images: Tensor) -> dict[str, Tensor]:
        """The readings by name, each (B, F) float32 on the CPU."""
        with torch.no_grad():
            latents = self._model.read(floats_on(images, self._device), {of for of, _ in self._readings.values()})
            return {name: pool_latents(latents[of], pooling).cpu() for name, (of, pooling) in self._readings.items()}


def probe_accuracies(
    logits_of: Callable[[Tensor], Mapping[str, Tensor]],
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device,
) -> dict[str, float]:
    """Top-1 accuracies as fractions by name, over batches of features (B, F) and classes (B,).

    Raises:
        ScoreError: there are no images.
    """
    right: dict[str, int] = {}
    seen = 0
    with torch.no_grad():
        for features, labels in batches:
            for name, logits in logits_of(features.to(device)).items():
                right[name] = right.get(name, 0) + int((logits.argmax(dim=1).cpu() == labels).sum())
            seen += len(labels)
    if not seen:
        raise ScoreError("no images to probe; the split is empty")
    return {name: count / seen for name, count in right.items()}
