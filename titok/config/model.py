"""The boxes of the paper's Figure 3 as settings: tokenizer, proxy VQGAN, discriminator, classifier.

Sizes and defaults are the published ones (paper section 4.1 and the released configs); studies in miniature
override them. Letters: B batch, K latent tokens, D width, E code size, V codebook size.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from titok.config.section import Fraction, Neutral, NonNegativeFloat, PositiveFloat, PositiveInt, Section

TailDrop = Literal["off", "uniform"]


class TransformerSize(Section):
    """Width and depth of a vision transformer."""

    width: PositiveInt
    """Features per token (D)."""
    depth: PositiveInt
    """Number of blocks."""
    num_heads: PositiveInt
    """Attention heads; must divide the width."""
    mlp_ratio: PositiveFloat = 4.0
    """Hidden width of the MLP as a multiple of the width."""
    init_std: PositiveFloat = 0.02
    """Standard deviation of fresh linear and convolution weights. What counts is `init_std * sqrt(width)`: the
    published 0.02 suits widths of 512 and more, at 32 to 128 it silences every layer for hundreds of steps."""
    attention_init_gain: PositiveFloat = 1.0
    """Factor on Xavier's initialisation of the packed query, key and value weights. Above 1 attention starts less
    uniform, so that tiny models soon tell their few tokens apart."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.num_heads:
            raise ValueError(
                f"num_heads is {self.num_heads}, which does not divide width {self.width}; "
                f"choose a divisor of the width"
            )
        return self


PUBLISHED_SIZES: dict[str, TransformerSize] = {
    "small": TransformerSize(width=512, depth=8, num_heads=8),
    "base": TransformerSize(width=768, depth=12, num_heads=12),
    "large": TransformerSize(width=1024, depth=24, num_heads=16),
}
"""TiTok-S, -B and -L: encoder and decoder read the same table."""


class VQGANModel(Section):
    """MaskGIT-VQGAN, the convolutional 2D tokenizer that supplies proxy codes and the pixel decoder."""

    channels: PositiveInt = 128
    """Channels at full resolution."""
    channel_multipliers: tuple[PositiveInt, ...] = (1, 1, 2, 2, 4)
    """One level per entry; the image is halved between levels, so 5 levels take 256 px to 16 x 16 codes."""
    num_res_blocks: PositiveInt = 2
    """Residual blocks per level."""
    code_dim: PositiveInt = 256
    """Channels of a code."""
    codebook_size: PositiveInt = 1024
    """Number of proxy codes."""
    norm_groups: PositiveInt = 32
    """Groups of every GroupNorm; must divide every level's channels."""

    @property
    def downsampling(self) -> int:
        """Pixels per code along one side."""
        return int(2 ** (len(self.channel_multipliers) - 1))

    @model_validator(mode="after")
    def _groups_divide_channels(self) -> Self:
        for multiplier in self.channel_multipliers:
            if (self.channels * multiplier) % self.norm_groups:
                raise ValueError(
                    f"norm_groups is {self.norm_groups}, which does not divide the "
                    f"{self.channels * multiplier} channels of a level ({self.channels} x {multiplier}); "
                    f"choose a common divisor"
                )
        return self


class TokenizerSettings(Section):
    """What an entry of a study's `tokenizers` and the model that is built of it have in common."""

    kind: Literal["vq", "vae"] = "vq"
    """Discrete tokens (vq) or continuous latents (vae)."""
    latents: Annotated[Literal["tokens", "patches"], Neutral("tokens")] = "tokens"
    """What is quantised: K learned latent tokens, or the patches themselves. With `patches`, single-stage only, nothing
    else is another: a 2D TiTok, the counterpart of TiTok among tokenizers of a grid (paper Table 3c)."""
    patch_size: PositiveInt = 16
    """Pixels per patch along one side."""
    codes_per_patch: PositiveInt = 1
    """Proxy codes along one side of a patch, `patch_size` over the VQGAN's pixels per code: 2 for patches of 32 pixels
    and a VQGAN of 16 pixels per code, as at 512 pixels. The released code knows 1 only."""
    num_latent_tokens: PositiveInt = 128
    """K, the number of tokens an image becomes; with `latents: patches` there are as many as patches."""
    codebook_size: PositiveInt = 4096
    """V; unused by the vae kind."""
    code_dim: PositiveInt = 12
    """E, channels of a latent token."""
    use_l2_norm: bool = True
    """Compare unit vectors (two-stage models) instead of raw ones (single-stage models)."""
    commitment_weight: NonNegativeFloat = 0.25
    latent_layout: Literal["per_token", "interleaved"] = "per_token"
    """`interleaved` is the published two-stage encoders' reshape without transposition: every output token
    mixes features of all latent tokens. Needed by their weights, off for our own training."""
    codebook_init: Literal["published", "data"] = "published"
    """`published`: uniform(-1/V, 1/V). `data`: codes are drawn from the first batch's encoder outputs, which keeps
    small codebooks from collapsing to one code."""
    reanchor_codes: bool = False
    """Move unused codes onto nearby features (CVQ-VAE), as the released single-stage recipes do."""
    fsq_levels: Annotated[tuple[Annotated[int, Field(ge=2)], ...], Neutral(())] = ()
    """Finite scalar quantization in place of a learnt codebook: how many values each channel of a latent token has,
    such as [8, 5, 5, 5]. `code_dim` is then their number, `codebook_size` their product, and nothing else of a codebook
    (normalisation, commitment, first state, re-anchoring) has a meaning. Empty: a codebook."""
    tail_drop: Annotated[TailDrop, Neutral("off")] = "off"
    """`uniform`: training decodes the first k tokens of a batch's images, k drawn from 1 to K, each equally likely, as
    One-D-Piece does; then any number of first tokens can be decoded. The quantizer sees all."""

    @model_validator(mode="after")
    def _levels_make_the_codes(self) -> Self:
        levels = self.fsq_levels
        if not levels:
            return self
        if self.kind == "vae":
            raise ValueError("fsq_levels quantises, and kind 'vae' does not; set kind: vq or fsq_levels: []")
        if (self.code_dim, self.codebook_size) != (len(levels), math.prod(levels)):
            raise ValueError(
                f"fsq_levels is {list(levels)}, with code_dim {self.code_dim} and codebook_size {self.codebook_size}; "
                f"its channels make {len(levels)} and {math.prod(levels)}: set these"
            )
        idle = {"reanchor_codes": False, "codebook_init": "published"}
        for name, value in idle.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name} is {getattr(self, name)!r}, but fsq_levels leaves no codebook; remove it")
        return self


class TokenizerModel(TokenizerSettings):
    """TiTok: K latent tokens in, K latent tokens out (paper section 3.2)."""

    first_in_documents: ClassVar[tuple[str, ...]] = (
        *("kind", "head", "pixel_lookup", "image_size", "patch_size", "encoder", "decoder"),
        *("num_latent_tokens", "codebook_size", "code_dim", "use_l2_norm", "commitment_weight", "latent_layout"),
        *("codebook_init", "reanchor_codes", "vqgan", "codes_per_patch"),
    )

    head: Literal["proxy_codes", "pixels"] = "proxy_codes"
    """What the ViT decoder predicts: codes of the proxy VQGAN (two-stage) or pixels (single-stage)."""
    pixel_lookup: Literal["argmax", "soft"] = "soft"
    """How proxy logits become pixels: the best code (stage 1) or the expected code (stage 2)."""
    image_size: PositiveInt = 256
    encoder: TransformerSize = PUBLISHED_SIZES["small"]
    decoder: TransformerSize = PUBLISHED_SIZES["small"]
    vqgan: VQGANModel | None = VQGANModel()
    """The pixel decoder of two-stage models; null for the pixels head."""

    @property
    def grid_size(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch_size

    @property
    def draws_codebook(self) -> bool:
        """Whether training begins with codes drawn from the data."""
        return self.has_codebook and self.codebook_init == "data"

    @property
    def has_codebook(self) -> bool:
        """Whether the codes are learnt vectors; a vae has none, and scalar quantization needs none."""
        return self.kind == "vq" and not self.fsq_levels

    @property
    def num_learned_latents(self) -> int:
        """Latent tokens that are learned and join the patches; none where the patches are the latents."""
        return self.num_latent_tokens if self.latents == "tokens" else 0

    @property
    def decoded_size(self) -> int:
        """Side of the images that come back; another one than ``image_size`` in released configs of 512 pixels alone,
        whose decoder predicts 16 x 16 codes of 16 pixels."""
        if self.head == "pixels" or self.vqgan is None:
            return self.image_size
        return self.grid_size * self.codes_per_patch * self.vqgan.downsampling

    @model_validator(mode="after")
    def _shapes_fit(self) -> Self:
        if self.image_size % self.patch_size:
            raise ValueError(f"patch_size is {self.patch_size}, which does not divide image_size {self.image_size}")
        if self.latents == "patches":
            self._check_patches()
        if self.num_latent_tokens > 4 * self.grid_size**2:
            raise ValueError(
                f"num_latent_tokens is {self.num_latent_tokens}, more than 4 times the {self.grid_size**2} patches "
                f"of an image; allowed: 1 to {4 * self.grid_size**2}. Lower it, or make patch_size smaller"
            )
        if self.tail_drop != "off" and self.kind == "vae":
            raise ValueError("tail_drop is for tokens, and kind 'vae' has none; set tail_drop: off")
        if self.head == "proxy_codes":
            if self.vqgan is None:
                raise ValueError(
                    "head is 'proxy_codes' but vqgan is null; give the proxy VQGAN's sizes or set head: pixels"
                )
            if self.kind == "vae":
                raise ValueError(
                    "kind 'vae' has no two-stage form; set head: pixels (released vae models are single-stage)"
                )
            if self.patch_size % (self.vqgan.downsampling * self.codes_per_patch):
                raise ValueError(
                    f"patch_size is {self.patch_size} but the VQGAN turns {self.vqgan.downsampling} pixels into one "
                    f"code, of which a patch has {self.codes_per_patch} along a side (codes_per_patch); "
                    f"patch_size must be a multiple of their product"
                )
        return self

    def _check_patches(self) -> None:
        patches = self.grid_size**2
        if self.num_latent_tokens != patches:
            raise ValueError(
                f"num_latent_tokens is {self.num_latent_tokens}, but latents is 'patches' and an image of "
                f"{self.image_size} pixels has {patches} of {self.patch_size}; set num_latent_tokens: {patches}"
            )
        if self.head != "pixels" or self.latent_layout != "per_token":
            raise ValueError(
                f"latents is 'patches' with head {self.head!r} and latent_layout {self.latent_layout!r}; allowed: "
                f"pixels (recipe: single_stage) and per_token"
            )


class DiscriminatorModel(Section):
    """PatchGAN with blurred down-sampling (released `NLayerDiscriminator`)."""

    channels: PositiveInt = 128
    """Channels of the first convolution."""
    num_stages: PositiveInt = 3
    """Stages that halve the image; channels double from the second on."""
    pool_size: PositiveInt = 16
    """Side of the adaptive max pool before the logits."""
    norm_groups: PositiveInt = 32
    """Groups of every GroupNorm; must divide the channels."""

    @model_validator(mode="after")
    def _groups_divide_channels(self) -> Self:
        if self.channels % self.norm_groups:
            raise ValueError(
                f"norm_groups is {self.norm_groups}, which does not divide the {self.channels} channels; "
                f"choose a divisor of them"
            )
        return self


class ClassifierModel(Section):
    """A small convolutional classifier: feature network of studies that have no Inception."""

    channels: tuple[PositiveInt, ...] = (32, 64)
    """Channels of each convolution stage; every stage but the last halves the image."""
    feature_dim: PositiveInt = 64
    """Size of the features before the class logits."""
    num_classes: PositiveInt = 10
    dropout: Fraction = 0.1
