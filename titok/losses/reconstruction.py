"""Pixels, perception, adversary, quantizer: stage 2, single stage and the proxy VQGAN (specification 7.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from titok.config.training import ReconstructionLosses
from titok.losses.adversarial import AdversarialLoss
from titok.losses.perceptual import PerceptualLoss, build_perceptual_loss
from titok.models.classifier import Classifier
from titok.models.quantizer import Quantized


class ReconstructionLoss(nn.Module):
    """The loss of a model that reconstructs images, as named terms.

    Its parameters and state are the discriminator's; frozen perceptual networks are no part of them.
    """

    logvar: Tensor

    def __init__(
        self, config: ReconstructionLosses, perceptual: PerceptualLoss | None, adversarial: AdversarialLoss | None
    ) -> None:
        """None for a part means doing without it; then its weight in the settings must say so too."""
        super().__init__()
        if (perceptual is None) != (config.perceptual.kind == "none"):
            raise ValueError(
                f"perceptual.kind is {config.perceptual.kind!r} but the perceptual loss given is "
                f"{type(perceptual).__name__}; give None exactly when kind is 'none'"
            )
        if adversarial is None and config.adversarial.weight > 0:
            raise ValueError(
                f"adversarial.weight is {config.adversarial.weight} but no adversarial loss was given; "
                f"give one or set the weight to 0"
            )
        self.config = config
        self.perceptual = perceptual
        self.adversarial = adversarial
        # Log-variance of the pixels given a vae latent: released recipes hold it at 0 and never train it.
        self.register_buffer("logvar", torch.zeros(()))

    def forward(
        self,
        images: Tensor,
        reconstructions: Tensor,
        step: int,
        *,
        quantized: Quantized | None = None,
        kl: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """What the reconstructing model minimises.

        Images and reconstructions are (B, 3, H, W), images in [0, 1], reconstructions not clamped; `step` counts
        finished updates. Discrete tokenizers give `quantized`, continuous ones `kl`, the divergence per token (B, K)
        in nats; stage 2, whose quantizer is frozen, may leave both out. Everything in float32, also under autocast.

        Returns scalars. `loss` is the sum of the weighted terms `reconstruction_loss`, `perceptual_loss`,
        `quantizer_loss`, `kl_loss` and `adversarial_loss` (those that apply); for the log there are also the
        unweighted `gan_loss`, `commitment_loss` and `codebook_loss`. All but `loss` are detached.
        """
        with torch.autocast(images.device.type, enabled=False):
            images, reconstructions = images.float(), reconstructions.float()
            terms = {"reconstruction_loss": self._pixel_term(images, reconstructions, is_vae=kl is not None)}
            logged: dict[str, Tensor] = {}
            if self.perceptual is not None:
                distance = self.perceptual(reconstructions, images)
                terms["perceptual_loss"] = self.config.perceptual.weight * distance
            if quantized is not None:
                terms["quantizer_loss"] = self.config.quantizer_weight * quantized.loss.float()
                logged = {"commitment_loss": quantized.commitment_loss, "codebook_loss": quantized.codebook_loss}
            if kl is not None:
                # Summed over tokens, averaged over images only.
                terms["kl_loss"] = self.config.kl_weight * kl.float().sum() / len(kl)
            if self.adversarial is not None:
                verdict = self.adversarial.generator_terms(reconstructions, step)
                logged["gan_loss"] = verdict.pop("gan_loss")
                terms.update(verdict)
            loss = torch.stack(list(terms.values())).sum()
            return {"loss": loss, **{name: term.detach() for name, term in (terms | logged).items()}}

    def _pixel_term(self, images: Tensor, reconstructions: Tensor, is_vae: bool) -> Tensor:
        error = F.mse_loss(reconstructions, images)
        if is_vae:
            error = error / self.logvar.exp()
        return self.config.reconstruction_weight * error


def build_reconstruction_loss(config: ReconstructionLosses, classifier: Classifier | None = None) -> ReconstructionLoss:
    """Builds the parts that the settings ask for and nothing else.

    `classifier` is the perceptual network of kind `classifier`; others read the files that the settings name. With
    adversarial weight 0 there is no discriminator.
    """
    return ReconstructionLoss(
        config,
        build_perceptual_loss(config.perceptual, classifier),
        AdversarialLoss(config.adversarial) if config.adversarial.weight > 0 else None,
    )
