"""Hinge GAN with LeCam regularisation (Tseng et al. 2021), as in specification 7.2.

Two players, two calls per step: `generator_terms` for the model that reconstructs, then `discriminator_terms` on the
same reconstructions for the discriminator. Steps count finished optimiser updates from 0.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from titok.config.training import Adversarial
from titok.models.discriminator import PatchDiscriminator
from titok.runtime.processes import mean

LECAM_DECAY = 0.999


def hinge_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Scalar mean of the two hinge halves: real patches should score above 1, fake ones below -1."""
    return 0.5 * (F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean())


def lecam_penalty(real_mean: Tensor, fake_mean: Tensor, ema_real: Tensor, ema_fake: Tensor) -> Tensor:
    """Scalar penalty on mean logits that run away from the other side's moving average (all arguments one element)."""
    return (F.relu(real_mean - ema_fake).square() + F.relu(ema_real - fake_mean).square()).sum()


class AdversarialLoss(nn.Module):
    """The discriminator with its losses; its state_dict carries the published names.

    The moving averages of the mean logits start at 0 and are updated after use in every discriminator call.
    """

    ema_real_logits_mean: Tensor
    ema_fake_logits_mean: Tensor

    def __init__(self, config: Adversarial) -> None:
        super().__init__()
        self.config = config
        self.discriminator = PatchDiscriminator(config.discriminator)
        self.register_buffer("ema_real_logits_mean", torch.zeros(1))
        self.register_buffer("ema_fake_logits_mean", torch.zeros(1))

    def is_active(self, step: int) -> bool:
        """Whether at this step the discriminator's verdict counts and the discriminator learns."""
        return self.config.weight > 0 and step >= self.config.start_step

    def generator_terms(self, reconstructions: Tensor, step: int) -> dict[str, Tensor]:
        """How far the reconstructions (B, 3, H, W) are from fooling the discriminator.

        Returns `gan_loss` (minus the mean logit) and `adversarial_loss` (the same times the weight, part of the loss
        to minimise); zeros, without running the discriminator, before the start step or with weight 0. The
        discriminator's parameters get no gradient.
        """
        if not self.is_active(step):
            zero = reconstructions.new_zeros((), dtype=torch.float32)
            return {"gan_loss": zero, "adversarial_loss": zero}
        with torch.autocast(reconstructions.device.type, enabled=False):
            frozen = {name: parameter.detach() for name, parameter in self.discriminator.named_parameters()}
            logits = cast(Tensor, functional_call(self.discriminator, frozen, (reconstructions.float(),)))
            gan_loss = -logits.mean()
            return {"gan_loss": gan_loss, "adversarial_loss": self.config.weight * gan_loss}

    def discriminator_terms(self, images: Tensor, reconstructions: Tensor, step: int) -> dict[str, Tensor]:
        """What the discriminator minimises; images and reconstructions (B, 3, H, W) get no gradients.

        Returns `discriminator_loss` = hinge + `lecam_loss` (weighted), and for the log `real_logits_mean` and
        `fake_logits_mean`. Before the start step the hinge part counts 0 while LeCam stays, as released; training
        makes no such call.
        """
        with torch.autocast(images.device.type, enabled=False):
            both = torch.cat([images.detach(), reconstructions.detach()]).float()
            real_logits, fake_logits = self.discriminator(both).chunk(2)
            real_mean, fake_mean = _over_processes(real_logits.mean()), _over_processes(fake_logits.mean())
            lecam_loss = self.config.lecam_weight * lecam_penalty(
                real_mean, fake_mean, self.ema_real_logits_mean, self.ema_fake_logits_mean
            )
            self._update_averages(real_mean.detach(), fake_mean.detach())
            hinge = hinge_discriminator_loss(real_logits, fake_logits) if self.is_active(step) else 0.0
            return {
                "discriminator_loss": hinge + lecam_loss,
                "lecam_loss": lecam_loss.detach(),
                "real_logits_mean": real_mean.detach(),
                "fake_logits_mean": fake_mean.detach(),
            }

    def _update_averages(self, real_mean: Tensor, fake_mean: Tensor) -> None:
        for average, value in ((self.ema_real_logits_mean, real_mean), (self.ema_fake_logits_mean, fake_mean)):
            average.copy_(average * LECAM_DECAY + value * (1 - LECAM_DECAY))


def _over_processes(own: Tensor) -> Tensor:
    """The mean over all processes, of which only the own part has a gradient: after gradients are averaged, LeCam's
    squares are those of the global batch, however many processes share it."""
    return own + (mean(own.detach().clone()) - own.detach())
