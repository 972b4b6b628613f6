"""ALIT's stage 2: pixels, LPIPS and an adversary for each length (docs/adaptive_length.md).

Another adversary than TiTok's: its verdict is weighted by the ratio of gradients at the pixel decoder's last layer, and
there is no LeCam term.
"""

from __future__ import annotations

from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from titok.config.alit import LengthPixelLosses
from titok.losses.adversarial import hinge_discriminator_loss
from titok.losses.perceptual import LPIPS, PerceptualLoss, build_perceptual_loss
from titok.models.classifier import Classifier
from titok.models.patchgan import PatchGAN
from titok.models.quantizer import Quantized
from titok.runtime.processes import mean

_LARGEST_WEIGHT = 1e4
_EPSILON = 1e-4


class LengthPixelLoss(nn.Module):
    """The losses of a model that decodes one of T lengths at a time; its parameters are the T adversaries'."""

    def __init__(self, config: LengthPixelLosses, perceptual: PerceptualLoss | None, iterations: int) -> None:
        """``perceptual``: None does without, and then the settings must say so too."""
        super().__init__()
        if (perceptual is None) != (config.perceptual.kind == "none"):
            raise ValueError(
                f"perceptual.kind is {config.perceptual.kind!r} but the perceptual loss given is "
                f"{type(perceptual).__name__}; give None exactly when kind is 'none'"
            )
        self.config = config
        self.perceptual = perceptual
        self.discriminators = nn.ModuleList(PatchGAN(config.discriminator) for _ in range(iterations))

    def train(self, mode: bool = True) -> Self:
        """With ``lpips_dropout`` the heads' dropout acts in training."""
        super().train(mode)
        if isinstance(self.perceptual, LPIPS):
            for head in self.perceptual.heads:
                cast(nn.Module, head.network).train(mode and self.config.lpips_dropout)
        return self

    def generator_terms(
        self,
        iteration: int,
        images: Tensor,
        reconstructions: Tensor,
        quantized: Quantized | None,
        last_layer: Tensor,
        gan_weight: float,
    ) -> dict[str, Tensor]:
        """What the model minimises: images and reconstructions (B, 3, H, W), these not clamped, in float32.

        ``last_layer`` is the weight of the pixel decoder's last convolution, at which the adversary's gradient is made
        as long as the other losses'. With ``gan_weight`` 0 the adversary is not asked.

        Returns scalars: `loss`, the sum of the weighted `reconstruction_loss`, `perceptual_loss`, `quantizer_loss` and
        `adversarial_loss`; for the log also `gan_loss` (minus the mean logit) and `adaptive_weight`.
        """
        with torch.autocast(images.device.type, enabled=False):
            images, reconstructions = images.float(), reconstructions.float()
            terms = {"reconstruction_loss": self.config.reconstruction_weight * F.l1_loss(reconstructions, images)}
            if self.perceptual is not None:
                distance = self.perceptual(self._seen(reconstructions), self._seen(images))
                terms["perceptual_loss"] = self.config.perceptual.weight * distance
            logged: dict[str, Tensor] = {}
            if gan_weight > 0:
                gan_loss = -self._judged(iteration, reconstructions).mean()
                adaptive = _gradient_ratio(torch.stack(list(terms.values())).sum(), gan_loss, last_layer)
                terms["adversarial_loss"] = gan_weight * adaptive * gan_loss
                logged = {"gan_loss": gan_loss, "adaptive_weight": adaptive}
            if quantized is not None:
                terms["quantizer_loss"] = self.config.quantizer_weight * quantized.loss.float()
            loss = torch.stack(list(terms.values())).sum()
            return {"loss": loss, **{name: term.detach() for name, term in (terms | logged).items()}}

    def discriminator_terms(self, iteration: int, images: Tensor, reconstructions: Tensor) -> dict[str, Tensor]:
        """What that length's adversary minimises; images and reconstructions get no gradients.

        Each kind goes through alone, for its BatchNorm sees one batch of real and one of made images. Returns
        `discriminator_loss` and, for the log, the mean logits.
        """
        with torch.autocast(images.device.type, enabled=False):
            discriminator = self.discriminators[iteration]
            real = discriminator(images.detach().float())
            fake = discriminator(reconstructions.detach().float())
            return {
                "discriminator_loss": hinge_discriminator_loss(real, fake),
                "real_logits_mean": real.mean().detach(),
                "fake_logits_mean": fake.mean().detach(),
            }

    def _judged(self, iteration: int, reconstructions: Tensor) -> Tensor:
        """Logits whose gradient reaches the images alone, or the adversary too where the settings want that."""
        discriminator = self.discriminators[iteration]
        if self.config.adversary_in_model_step:
            return cast(Tensor, discriminator(reconstructions))
        frozen = {name: parameter.detach() for name, parameter in discriminator.named_parameters()}
        return cast(Tensor, functional_call(discriminator, frozen, (reconstructions,)))

    def _seen(self, images: Tensor) -> Tensor:
        """What LPIPS, which takes [0, 1] to [-1, 1], is given so that its network sees what the settings say."""
        is_official = self.config.lpips_range == "unit" and isinstance(self.perceptual, LPIPS)
        return (images + 1) / 2 if is_official else images


def _gradient_ratio(loss: Tensor, gan_loss: Tensor, last_layer: Tensor) -> Tensor:
    """How much longer the gradient of ``loss`` at ``last_layer`` is than that of ``gan_loss``; at most 10,000.

    Gradients are those of the images of all processes.
    """
    longer, shorter = (
        mean(torch.autograd.grad(each, last_layer, retain_graph=True)[0].clone()).norm() for each in (loss, gan_loss)
    )
    return (longer / (shorter + _EPSILON)).clamp(0.0, _LARGEST_WEIGHT).detach()


def build_length_pixel_loss(
    config: LengthPixelLosses, iterations: int, classifier: Classifier | None = None
) -> LengthPixelLoss:
    """With what the settings ask for; ``classifier`` is the perceptual network of kind `classifier`."""
    return LengthPixelLoss(config, build_perceptual_loss(config.perceptual, classifier), iterations)
