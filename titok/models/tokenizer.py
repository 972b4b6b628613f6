"""TiTok, the one-dimensional image tokenizer: an image becomes K tokens, K tokens become an image.

Paper section 3.2 and Figure 3; details: specification 1. Letters: B batch, K latent tokens, D width,
E code size, V codebook size, P patches. Images are (B, 3, H, W) in [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from titok.config.model import TokenizerModel
from titok.errors import ModelError
from titok.models.backbone import scaled_normal
from titok.models.decoder import Decoder
from titok.models.encoder import Encoder
from titok.models.quantizer import GaussianPosterior, Quantized, VectorQuantizer
from titok.models.vqgan import VQGAN, VQGANDecoder, to_grid


class PixelCodebook(nn.Module):
    """The proxy VQGAN's code vectors as a trainable table (V_proxy, E_proxy)."""

    def __init__(self, codebook_size: int, code_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codebook_size, code_dim)

    def best(self, logits: Tensor) -> Tensor:
        """Logits (B, P, V_proxy) to the code vectors (B, P, E_proxy) of the likeliest codes."""
        return self.embedding(logits.argmax(dim=-1))

    def expected(self, logits: Tensor) -> Tensor:
        """Logits (B, P, V_proxy) to the mean code vectors (B, P, E_proxy) under their softmax."""
        return logits.softmax(dim=-1) @ self.embedding.weight


class TiTok(nn.Module):
    """Encoder, bottleneck and decoder; two-stage models also own the pixel decoder of their proxy VQGAN.

    ``quantize`` is a module and is called like a method: ``model.quantize(z) -> Quantized`` (vq only).
    ``pixel_lookup`` may be changed at any time: ``argmax`` (the best proxy code, stage 1) or ``soft`` (the mean of all
    codes, stage 2).
    """

    def __init__(self, config: TokenizerModel) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.latent_tokens = scaled_normal(config.num_latent_tokens, config.encoder.width)
        if config.kind == "vq":
            self.quantize = VectorQuantizer(
                config.codebook_size,
                config.code_dim,
                use_l2_norm=config.use_l2_norm,
                commitment_weight=config.commitment_weight,
                reanchor=config.reanchor_codes,
            )
        self.pixel_lookup = config.pixel_lookup
        if config.head == "proxy_codes" and config.vqgan is not None:
            self.pixel_quantize = PixelCodebook(config.vqgan.codebook_size, config.vqgan.code_dim)
            self.pixel_decoder = VQGANDecoder(config.vqgan)

    def encode(self, images: Tensor) -> Tensor:
        """Images to latents (B, K, E) before quantisation, or to moments (B, K, 2E) for a vae."""
        size = self.config.image_size
        if images.shape[1:] != (3, size, size):
            raise ModelError(
                f"images have shape {tuple(images.shape)}, this tokenizer needs (B, 3, {size}, {size}); "
                f"resize and crop them first, or set image_size"
            )
        return self.encoder(images, self.latent_tokens)

    def posterior(self, images: Tensor) -> GaussianPosterior:
        """The Gaussian posterior of a vae's latents: ``mean, logvar = model.posterior(images)``, each (B, K, E)."""
        self._require("vae", "posterior")
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
    def tokenize(self, images: Tensor) -> Tensor:
        """Images to tokens (B, K) int64, without gradient."""
        self._require("vq", "tokenize")
        return self.quantize(self.encode(images)).indices

    def detokenize(self, tokens: Tensor) -> Tensor:
        """Tokens (B, K), or a vae's latents (B, K, E), to images (B, 3, H, W), not clamped.

        With ``tail_drop`` fewer than K will do: the first of them.
        """
        return self.decode(self.quantize.lookup(tokens) if self.config.kind == "vq" else tokens)

    def forward(self, images: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Quantized | GaussianPosterior]:
        """Images to reconstructions (B, 3, H, W), not clamped, with what the bottleneck's loss needs.

        ``noise`` (B, K, E), standard normal, samples a vae's latents; without it their mean is decoded.
        """
        if self.config.kind == "vq":
            quantized = self.quantize(self.encode(images))
            return self.decode(quantized.z_quantized), quantized
        posterior = self.posterior(images)
        return self.decode(posterior.mean if noise is None else posterior.sample(noise)), posterior

    def reconstruct(self, images: Tensor) -> Tensor:
        """Images through the bottleneck and back, not clamped; a vae decodes its posterior mean."""
        return self(images)[0]

    def init_codebook_from(self, z: Tensor, generator: torch.Generator) -> None:
        """Draws the codebook from encoder outputs (B, K, E), see `VectorQuantizer.init_from`."""
        self._require("vq", "init_codebook_from")
        self.quantize.init_from(z, generator)

    @torch.no_grad()
    def adopt_pixel_decoder(self, vqgan: VQGAN) -> None:
        """Copies the codebook and the decoder of the proxy VQGAN, the start of the pixel decoder in stage 2."""
        if self.config.vqgan != vqgan.config:
            raise ModelError(
                f"the VQGAN's settings are {vqgan.config!r}, the tokenizer's `vqgan` is {self.config.vqgan!r}; "
                f"they must be equal"
            )
        self.pixel_quantize.embedding.weight.copy_(vqgan.quantize.embedding.weight)
        self.pixel_decoder.load_state_dict(vqgan.decoder.state_dict())

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """All parameters by the part they belong to: encoder, latent_tokens, codebook, decoder, pixel_decoder.

        ``pixel_decoder`` includes its codebook. Every parameter is in exactly one part; absent parts are left out.
        """
        parts = {
            "encoder": list(self.encoder.parameters()),
            "latent_tokens": [self.latent_tokens],
            "decoder": list(self.decoder.parameters()),
        }
        if self.config.kind == "vq":
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

    def _require(self, kind: str, operation: str) -> None:
        if self.config.kind != kind:
            raise ModelError(
                f"{operation} exists for tokenizers of kind {kind!r} only, this one is {self.config.kind!r}"
            )
