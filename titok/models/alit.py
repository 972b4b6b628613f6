"""ALIT: one encoder gives an image 32, 64, ... 256 tokens, and a decoder turns any of these codes into the image.

Duggal et al. 2024 (docs/adaptive_length.md). Letters: B batch, P positions of the base's grid, V its codes, T
iterations, n tokens that each adds, K tokens of a code: n, 2n, ..., T * n. Images are (B, 3, H, W) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from titok.config.alit import AlitModel
from titok.errors import ModelError
from titok.models.halting import Halting, explained
from titok.models.image_tokenizer import (
    Attending,
    Coded,
    Codes,
    Ids,
    ImageTokenizer,
    Reconstruction,
    TokenFacts,
    bottleneck_at,
    require_side,
)
from titok.models.quantizer import Quantized, VectorQuantizer
from titok.models.recurrent import LengthDecoder, RecurrentEncoder, State
from titok.models.vqgan import VQGAN


class Code(NamedTuple):
    """Latent tokens after the bottleneck."""

    vectors: Tensor
    """(B, K, ``latent_dim``): what the decoder reads."""
    quantized: Quantized | None
    """With tokens and losses; None where latents are not quantized."""


class Alit(ImageTokenizer):
    """A frozen or trainable 2D base, the recurrent encoder, the bottleneck and the decoder.

    Codes of different lengths share nothing: the first n tokens of the long code are not the short code, for every
    iteration writes all tokens again.
    """

    config: AlitModel

    def __init__(self, config: AlitModel) -> None:
        super().__init__()
        self.config = config
        self.base = VQGAN(config.vqgan)
        self.encoder = RecurrentEncoder(config)
        self.decoder = LengthDecoder(config)
        if config.latents == "quantized":
            self.quantize = VectorQuantizer(
                config.codebook_size,
                config.code_dim,
                use_l2_norm=config.use_l2_norm,
                commitment_weight=config.commitment_weight,
            )

    @property
    def facts(self) -> TokenFacts:
        """K is that of the longest code; continuous latents have no V."""
        config = self.config
        return TokenFacts(
            image_size=config.image_size,
            most_tokens=config.num_latent_tokens,
            codebook_size=config.codebook_size if config.latents == "quantized" else None,
            lengths=config.lengths,
        )

    def start(self, images: Tensor, features: Tensor | None = None) -> State:
        """Iteration 0; ``features`` (B, P, E) are those of the base, where they are known."""
        require_side(images, self.config.image_size)
        return self.encoder.first(self.base.encode(images) if features is None else features, images)

    def rollout(self, images: Tensor, halting: Halting | None = None) -> Iterator[State]:
        """The states after iterations 0 to T - 1; each is computed when it is asked for.

        ``halting`` decodes every state to see what it explains; without it nothing is decoded.
        """
        state = self.start(images)
        base_codes = None if halting is None else self.base.tokenize(images).values
        yield state
        for _ in range(self.config.iterations - 1):
            halted = None
            if halting is not None and base_codes is not None:
                logits = self.proxy_logits(self.code(state).vectors)
                halted = halting(state.iteration, explained(logits, base_codes))
            state = self.encoder.next(state, halted)
            yield state

    def codes(self, images: Tensor, lengths: Sequence[int]) -> Codes:
        """All lengths, one iteration each: none can be left out."""
        state = self.start(images)
        while True:
            code = self.code(state)
            kept = yield Coded(code.vectors, code.quantized.indices if code.quantized else None)
            if state.iteration + 1 == self.config.iterations:
                return
            state = self.encoder.next(state.of(kept))

    def code(self, state: State) -> Code:
        """The latent tokens of a state through the bottleneck."""
        return self.bottleneck(self.encoder(state))

    def bottleneck(self, latents: Tensor) -> Code:
        """Latents (B, K, ``latent_dim``) as the decoder reads them; continuous ones as they are, not normalised."""
        if self.config.latents != "quantized":
            return Code(latents, None)
        quantized = self.quantize(latents)
        return Code(quantized.z_quantized, quantized)

    def proxy_logits(self, vectors: Tensor) -> Tensor:
        """(B, K, ``latent_dim``), K at most T * n, to logits (B, P, V) over the base's codes, raster order."""
        logits: Tensor = self.decoder(vectors)
        return logits

    def soft_codes(self, logits: Tensor) -> Tensor:
        """Logits (B, P, V) to the mean code vectors (B, P, E) of the base under their softmax.

        The base's codebook gets no gradient from them, in no stage.
        """
        return logits.softmax(dim=-1) @ self.base.quantize.embedding.weight.detach()

    def logits_to_images(self, logits: Tensor) -> Tensor:
        """Logits (B, P, V) to images (B, 3, H, W), not clamped."""
        return self.base.decode(self.soft_codes(logits))

    def decode(self, vectors: Tensor) -> Tensor:
        """Latent tokens (B, K, ``latent_dim``) of any length to images (B, 3, H, W), not clamped."""
        return self.logits_to_images(self.proxy_logits(vectors))

    def encode(self, images: Tensor, length: int | None = None) -> Tensor:
        """Images to latents (B, K, ``latent_dim``) before quantisation; K is ``length``, or the most there are.

        Iterations beyond that length are not computed.
        """
        last = self._iteration_of(length)
        return self.encoder(next(state for state in self.rollout(images) if state.iteration == last))

    @property
    def attending(self) -> Attending:
        """One code for each iteration."""
        return Attending(self.encoder, self.decoder, self.config.grid_size, self._decode_all)

    def _decode_all(self, images: Tensor) -> None:
        for state in self.rollout(images):
            self.proxy_logits(self.code(state).vectors)

    @property
    def readable(self) -> frozenset[str]:
        """The bottleneck, the encoder's own width before it and, with a codebook, the codes after it."""
        return frozenset({"bottleneck", "width"} | ({"codes"} if self.config.latents == "quantized" else set()))

    def read(self, images: Tensor, wanted: Collection[str]) -> dict[str, Tensor]:
        """Features of the longest code, and the bottleneck (B, K, ``latent_dim``) at every length, from one rollout."""
        states = list(self.rollout(images))
        latents = [self.encoder(state) for state in states]
        found = {bottleneck_at(each.shape[1]): each for each in latents}
        found |= {"bottleneck": latents[-1], "width": self.encoder.features(states[-1])}
        return found | ({"codes": self.bottleneck(latents[-1]).vectors} if "codes" in wanted else {})

    @torch.no_grad()
    def tokenize(self, images: Tensor, length: int | None = None) -> Ids:
        """Images to ids (B, K), without gradient; K is ``length``, or the most there are.

        `titok.models.length_choice.choose_lengths` gives each image a length of its own.
        """
        self._require_codebook("tokenize")
        return Ids(self.quantize(self.encode(images, length)).indices)

    def detokenize(self, ids: Ids) -> Tensor:
        """Ids (B, K), each image with a length that there is, to images (B, 3, H, W), not clamped."""
        self._require_codebook("detokenize")
        return ids.decoded(self._of_one_length)

    def _of_one_length(self, values: Tensor) -> Tensor:
        """Ids (B, K) of a length that there is to images."""
        self._iteration_of(values.shape[1])
        return self.decode(self.quantize.lookup(values))

    def reconstruct(self, images: Tensor, noise: Tensor | None = None, length: int | None = None) -> Reconstruction:
        """Images through a code of ``length`` tokens (null: the most there are) and back, not clamped.

        Nothing is sampled, so there is no use for ``noise``.
        """
        code = self.bottleneck(self.encode(images, length))
        return Reconstruction(self.decode(code.vectors), Ids(code.quantized.indices) if code.quantized else None)

    def init_codebook_from(self, latents: Tensor, generator: torch.Generator) -> None:
        """Draws the codebook from latents (B, K, ``code_dim``), see `VectorQuantizer.init_from`."""
        self._require_codebook("init_codebook_from")
        self.quantize.init_from(latents, generator)

    @torch.no_grad()
    def adopt_base(self, vqgan: VQGAN) -> None:
        """Copies the weights of a trained VQGAN, whose settings must be those of the base."""
        vqgan.require_settings(self.config.vqgan)
        self.base.load_state_dict(vqgan.state_dict())

    def _iteration_of(self, length: int | None) -> int:
        """Which iteration's code has that many tokens."""
        lengths = self.config.lengths
        if length is not None and length not in lengths:
            raise ModelError(
                f"a code of {length} tokens was asked for; this tokenizer has lengths {', '.join(map(str, lengths))}"
            )
        return len(lengths) - 1 if length is None else lengths.index(length)

    def _require_codebook(self, operation: str) -> None:
        if self.config.latents != "quantized":
            raise ModelError(
                f"{operation} needs a codebook, but this tokenizer has latents {self.config.latents!r}; use encode"
            )
