"""Operations of a training step of ALIT, per image, counted as in `titok.training.flops`."""

from __future__ import annotations

from functools import cache

import torch

from titok.config.alit import AlitModel, BatchNormDiscriminator, LengthPixelLosses, LengthProxyLosses
from titok.models.alit_flops import (
    all_decoders_flops,
    all_quantizers_flops,
    length_encoder_flops,
    recurrent_encoder_flops,
)
from titok.models.flops import abstractly, count, pixel_decoder_flops, vqgan_encoder_flops, vqgan_parts
from titok.models.operations import Flops
from titok.models.patchgan import PatchGAN


def stage1_operations(model: AlitModel, losses: LengthProxyLosses) -> tuple[int, int]:
    """(frozen, learning) of all iterations; decoded is what counts, and what halting looks at."""
    parts = vqgan_parts(model.vqgan, model.image_size)
    share = min(losses.decoded_iterations or model.iterations, model.iterations) / model.iterations
    code = all_decoders_flops(model) + all_quantizers_flops(model)
    looked = (1 - share) * code.forward if losses.halting else 0
    frozen = parts["encoder"].forward + parts["quantizer"].forward + int(looked)
    return frozen, recurrent_encoder_flops(model).training + int(share * code.training)


class Stage2Operations:
    """Of an average step of a whole run: while the adversaries play, one step in a few is the model's."""

    def __init__(self, model: AlitModel, losses: LengthPixelLosses, steps: int) -> None:
        start = losses.start_step
        late = 0.0 if start is None else max(0, steps - start) / steps
        cycle = losses.discriminator_steps + 1
        self.model_turns = 1 - late + late / cycle
        self._judged, self._played = late / cycle, late * (cycle - 1) / cycle
        self._reconstruction = _reconstruction(model)
        self._discriminator, self._size = losses.discriminator, model.image_size

    @property
    def frozen(self) -> int:
        """Reconstructions that only the adversary learns from."""
        return int(self._played * self._reconstruction.forward)

    @property
    def model(self) -> int:
        """Reconstructions that the model learns from."""
        return int(self.model_turns * self._reconstruction.training)

    @property
    def adversary(self) -> int:
        """Verdicts on the model, and the adversaries' own turns on both images."""
        verdict, own = _discriminator_flops(self._discriminator, self._size)
        return int(self._judged * verdict + self._played * own)


def _reconstruction(model: AlitModel) -> Flops:
    """An image to a code and back to pixels, the mean over lengths."""
    encoders = [length_encoder_flops(model, length) for length in model.lengths]
    all_lengths = sum(encoders, all_decoders_flops(model) + all_quantizers_flops(model))
    ends = vqgan_encoder_flops(model.vqgan, model.image_size) + pixel_decoder_flops(model.vqgan, model.grid_size**2)
    middle = Flops(*(number // model.iterations for number in all_lengths))
    return ends + middle


@cache
def _discriminator_flops(settings: BatchNormDiscriminator, image_size: int) -> tuple[int, int]:
    """(a verdict whose gradient reaches the image, both images with the adversary's own gradients)."""
    with abstractly():
        discriminator = PatchGAN(settings)
        made = torch.empty(2, 3, image_size, image_size, requires_grad=True)
        real = torch.empty(2, 3, image_size, image_size)
        verdict = count(lambda: discriminator(made).sum().backward())
        own = count(lambda: (discriminator(real).sum() + discriminator(real).sum()).backward())
    return verdict // 2, own // 2
