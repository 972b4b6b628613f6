"""Stage 1: TiTok learns to predict the codes of a frozen proxy VQGAN (paper section 3.2, specification 7.1 and 8.5)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from titok.config.training import ProxyCodeLosses, Training
from titok.data.coded_images import CodedBatch
from titok.data.images import Batch
from titok.data.transforms import floats_on
from titok.losses.perceptual import Frozen
from titok.losses.proxy_code import proxy_code_losses
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN
from titok.runtime.transfers import sent
from titok.training.codebook import place_codebook
from titok.training.optimizer import Player
from titok.training.tail_drop import first_tokens, kept_tokens
from titok.training.task import MODEL, Task, Turn


class Stage1Task(Task):
    """Trains encoder, latent tokens, codebook and decoder.

    The VQGAN's decoder is copied into the model, frozen, so that what is exported turns tokens into images by itself:
    with the likeliest proxy codes until stage 2 refines it.
    """

    name = "stage1"

    def __init__(self, model: TiTok, vqgan: VQGAN, losses: ProxyCodeLosses, training: Training) -> None:
        super().__init__()
        model.adopt_pixel_decoder(vqgan)
        model.pixel_quantize.requires_grad_(False)
        model.pixel_decoder.requires_grad_(False)
        self.model: TiTok = model
        self.vqgan = Frozen(vqgan)
        self.losses = losses
        self.players = {MODEL: Player(model, training)}
        self.codebook_size = model.facts.codebook_size
        self.config = {"kind": "tokenizer", "model": model.config.resolved()}

    def updates(self, batch: Batch | CodedBatch, step: int, rng: torch.Generator) -> Iterator[Turn]:
        """Proxy codes of the augmented images, unless the batch brings them, then one update."""
        images = floats_on(batch.images, self.device)
        codes = sent(batch.codes, self.device) if isinstance(batch, CodedBatch) else None
        if self.model.config.draws_codebook and self.begins_anew("quantize"):
            place_codebook(self.model.quantize, self.model.encode, images, self.shares, step, rng)
        kept = kept_tokens(self.model.config, rng)
        for rows, share in self.shares.passes(len(images)):
            seen = images[rows]
            proxy_codes = self.vqgan.network.tokenize(seen).values if codes is None else codes[rows]
            quantized = self.model.quantize(self.model.encode(seen))
            logits = self.model.proxy_logits(first_tokens(quantized.z_quantized, kept))
            terms = proxy_code_losses(logits, proxy_codes, quantized, self.losses)
            yield Turn(MODEL, {**terms, "indices": quantized.indices}, share)
