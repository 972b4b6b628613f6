"""TiTok, the one-dimensional image tokenizer: an image becomes K tokens, K tokens become an image.

Paper section 3.2 and Figure 3; details: specification 1. Letters: B batch, K latent tokens, D width,
E code size, V codebook size, P patches. Images are (B, 3, H, W) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from titok.config.model import TokenizerModel
from titok.errors import ModelError
from titok.models.backbone import scaled_normal
from titok.models.decoder import Decoder
from titok.models.encoder import Encoder
from titok.models.finite_scalar import FiniteScalarQuantizer
from titok.models.image_tokenizer import (
    Attending,
    Coded,
    Codes,
    Ids,
    ImageTokenizer,
    Reconstruction,
    TokenFacts,
    bottleneck_at,
    no_ids,
    require_side,
)
from titok.models.quantizer import GaussianPosterior, Quantized, VectorQuantizer
from titok.models.vqgan import VQGAN, VQGANDecoder, to_grid
from titok.runtime.search import argmax


class PixelCodebook(nn.Module):
    """The proxy VQGAN's code vectors as a trainable table (V_proxy, E_proxy)."""

    def __init__(self, codebook_size: int, code_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codebook_size, code_dim)

    def best(self, logits: Tensor) -> Tensor:
        """Logits (B, P, V_proxy) to the code vectors (B, P, E_proxy) of the likeliest codes."""
        return self.embedding(argmax(logits))

    def expected(self, logits: Tensor) -> Tensor:
        """Logits (B, P, V_proxy) to the mean code vectors (B, P, E_proxy) under their softmax."""
        return logits.softmax(dim=-1) @ self.embedding.weight


def _quantizer(config: TokenizerModel) -> VectorQuantizer | FiniteScalarQuantizer:
    if config.fsq_levels:
        return FiniteScalarQuantizer(config.fsq_levels)
    return VectorQuantizer(
        config.codebook_size,
        config.code_dim,
        use_l2_norm=config.use_l2_norm,
        commitment_weight=config.commitment_weight,
        reanchor=config.reanchor_codes,
    )


class TiTok(ImageTokenizer):
    """Encoder, bottleneck and decoder; two-stage models also own the pixel decoder of their proxy VQGAN.

    ``quantize`` is a module and is called like a method: ``model.quantize(z) -> Quantized`` (vq only).
    ``pixel_lookup`` may be changed at any time: ``argmax`` (the best proxy code, stage 1) or ``soft`` (the mean of all
    codes, stage 2).
    """

    config: TokenizerModel

    def __init__(self, config: TokenizerModel) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.latent_tokens: nn.Parameter | None = None
        if config.num_learned_latents:
            self.latent_tokens = scaled_normal(config.num_learned_latents, config.encoder.width)
        if config.kind == "vq":
            self.quantize = _quantizer(config)
        self.pixel_lookup = config.pixel_lookup
        if config.head == "proxy_codes" and config.vqgan is not None:
            self.pixel_quantize = PixelCodebook(config.vqgan.codebook_size, config.vqgan.code_dim)
            self.pixel_decoder = VQGANDecoder(config.vqgan)

    @property
    def facts(self) -> TokenFacts:
        """K, V and the size of images are settings; a vae has K x E latents and no V."""
        config, is_vae = self.config, self.config.kind == "vae"
        return TokenFacts(
            image_size=config.image_size,
            most_tokens=config.num_latent_tokens,
            codebook_size=None if is_vae else config.codebook_size,
            lengths=() if config.tail_drop == "off" else tuple(range(1, config.num_latent_tokens + 1)),
            is_nested=config.tail_drop != "off",
            noise_shape=(config.num_latent_tokens, config.code_dim) if is_vae else None,
        )

    def encode(self, images: Tensor) -> Tensor:
        """Images to latents (B, K, E) before quantisation, or to moments (B, K, 2E) for a vae."""
        return self.encoder.narrowed(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """Images to what the latents are made from, (B, K, D) in the encoder's own width."""
        require_side(images, self.config.image_size)
        return self.encoder.features(images, self.latent_tokens)

    @property
    def attending(self) -> Attending:
        """One code, of all tokens."""
        return Attending(self.encoder, self.decoder, self.config.grid_size, self._predict)

    def _predict(self, images: Tensor) -> None:
        self.decoder(self.quantize(self.encode(images)).z_quantized)

    @property
    def readable(self) -> frozenset[str]:
        """The bottleneck, the encoder's own width before it and, with a codebook, the codes after it."""
        return frozenset({"bottleneck", "width"} | ({"codes"} if self.config.kind == "vq" else set()))

    def read(self, images: Tensor, wanted: Collection[str]) -> dict[str, Tensor]:
        """Features (B, K, E), of ``width`` (B, K, D), from one pass; codes and shorter ones only where ``wanted``."""
        width = self.features(images)
        found = {"width": width, "bottleneck": self.encoder.narrowed(width)}
        if "codes" in wanted:
            found["codes"] = self.quantize(found["bottleneck"]).z_quantized
        shorter = {bottleneck_at(length): found["bottleneck"][:, :length] for length in self.facts.lengths}
        found |= {name: latents for name, latents in shorter.items() if name in wanted}
        return found

    def posterior(self, images: Tensor) -> GaussianPosterior:
        """The Gaussian posterior of a vae's latents: ``mean, logvar = model.posterior(images)``, each (B, K, E)."""
        if self.config.kind == "vq":
            return super().posterior(images)
        return GaussianPosterior(self.encode(images))

    def proxy_logits(self, z_quantized: Tensor) -> Tensor:
        """Latents (B, K, E) to logits (B, P, V_proxy) over the proxy VQGAN's codes, raster order."""
        if self.config.head != "proxy_codes":
            raise ModelError("proxy_logits needs head 'proxy_codes', this tokenizer has head 'pixels'; use decode")
        self._check_length(z_quantized)
        return self.decoder(z_quantized)

    def logits_to_images(self, logits: Tensor) -> Tensor:
        """Proxy logits (B, P, V_proxy) to images (B, 3, H, W), not clamped, by the current ``pixel_lookup``."""
        pixel_codes = self.pixel_quantize
        codes = pixel_codes.best(logits) if self.pixel_lookup == "argmax" else pixel_codes.expected(logits)
        return self.pixel_decoder(to_grid(codes))

    def decode(self, z_quantized: Tensor) -> Tensor:
        """Latents (B, K, E) to images (B, 3, H, W), not clamped.

        With ``tail_drop`` fewer than K will do: the first of them.
        """
        self._check_length(z_quantized)
        prediction = self.decoder(z_quantized)
        return self.logits_to_images(prediction) if self.config.head == "proxy_codes" else prediction

    @torch.no_grad()
    def tokenize(self, images: Tensor) -> Ids:
        """Images to ids (B, K), without gradient; `ModelError` for a vae."""
        if self.config.kind == "vae":
            raise no_ids(self, "tokenize")
        return Ids(self.quantize(self.encode(images)).indices)

    def codes(self, images: Tensor, lengths: Sequence[int]) -> Codes:
        """The first tokens of one and the same code; only with tail drop."""
        most, tail_drop = self.config.num_latent_tokens, self.config.tail_drop
        if tail_drop == "off" or not lengths or max(lengths) > most:
            raise ModelError(
                f"lengths {list(lengths)} were asked for of a tokenizer of {most} tokens with tail_drop "
                f"{tail_drop!r}; only one trained with tail drop decodes fewer than all"
            )
        quantized = self.quantize(self.encode(images))
        vectors, ids = quantized.z_quantized, quantized.indices
        for length in sorted(lengths):
            kept = yield Coded(vectors[:, :length], ids[:, :length])
            vectors, ids = vectors[kept], ids[kept]

    def detokenize(self, ids: Ids) -> Tensor:
        """Ids (B, K) to images (B, 3, H, W), not clamped; `ModelError` for a vae.

        With ``tail_drop`` fewer than K will do: the first of them, of each image as many as it has.
        """
        if self.config.kind == "vae":
            raise no_ids(self, "detokenize")
        return ids.decoded(lambda values: self.decode(self.quantize.lookup(values)))

    def forward(self, images: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Quantized | GaussianPosterior]:
        """Images to reconstructions (B, 3, H, W), not clamped, with what the bottleneck's loss needs.

        ``noise`` (B, K, E), standard normal, samples a vae's latents; without it their mean is decoded.
        """
        if self.config.kind == "vq":
            quantized = self.quantize(self.encode(images))
            return self.decode(quantized.z_quantized), quantized
        posterior = self.posterior(images)
        return self.decode(posterior.mean if noise is None else posterior.sample(noise)), posterior

    def reconstruct(self, images: Tensor, noise: Tensor | None = None) -> Reconstruction:
        """Images through the bottleneck and back, not clamped; see `forward` for ``noise``."""
        restored, bottleneck = self(images, noise)
        if isinstance(bottleneck, GaussianPosterior):
            return Reconstruction(restored, posterior=bottleneck)
        return Reconstruction(restored, Ids(bottleneck.indices))

    @torch.no_grad()
    def adopt_pixel_decoder(self, vqgan: VQGAN) -> None:
        """Copies the codebook and the decoder of the proxy VQGAN, the start of the pixel decoder in stage 2."""
        vqgan.require_settings(self.config.vqgan)
        self.pixel_quantize.embedding.weight.copy_(vqgan.quantize.embedding.weight)
        self.pixel_decoder.load_state_dict(vqgan.decoder.state_dict())

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """All parameters by the part they belong to: encoder, latent_tokens, codebook, decoder, pixel_decoder.

        ``pixel_decoder`` includes its codebook. Every parameter is in exactly one part; absent parts are left out.
        """
        parts = {"encoder": list(self.encoder.parameters())}
        if self.latent_tokens is not None:
            parts["latent_tokens"] = [self.latent_tokens]
        parts["decoder"] = list(self.decoder.parameters())
        if self.config.has_codebook:
            parts["codebook"] = list(self.quantize.parameters())
        if self.config.head == "proxy_codes":
            parts["pixel_decoder"] = [*self.pixel_quantize.parameters(), *self.pixel_decoder.parameters()]
        return parts

    def _check_length(self, latents: Tensor) -> None:
        """Raises `ModelError` for a number of tokens that this decoder was not trained for."""
        count, most = latents.shape[1], self.config.num_latent_tokens
        if count == most or (self.config.tail_drop != "off" and 1 <= count < most):
            return
        allowed = most if self.config.tail_drop == "off" else f"1 to {most}"
        raise ModelError(
            f"{count} tokens per image are to be decoded; this tokenizer has {allowed}. Only one trained with tail "
            f"drop can decode fewer than it writes"
        )
