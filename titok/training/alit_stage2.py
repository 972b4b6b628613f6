"""ALIT's stage 2: everything learns pixels, one length at a time, each with an adversary of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from titok.config.training import Training
from titok.data.images import Batch
from titok.data.transforms import floats_on
from titok.losses.length_pixels import LengthPixelLoss
from titok.models.alit import Alit, Code
from titok.training.optimizer import Player
from titok.training.task import MODEL, Task, Turn

_ADVERSARY_DECAY = 0.01
"""Weight decay of the adversaries: torch's default, which the official code leaves."""


class LengthTurn(NamedTuple):
    """Who learns in a step, and from which length."""

    iteration: int
    is_model: bool


class AlitStage2Task(Task):
    """Trains base, encoder, codebook and decoder of a stage-1 model on pixels; the base's codebook stays.

    Halting plays no part: of a step's iterations one alone is decoded, the last that is computed.
    """

    name = "alit_stage2"

    def __init__(self, model: Alit, losses: LengthPixelLoss, training: Training) -> None:
        super().__init__()
        if losses.config.adversary_in_model_step:
            raise ValueError(
                "adversary_in_model_step is true; here the model's optimizer has the model's parameters alone: set it "
                "to false"
            )
        if training.compute.micro_batch_size is not None:
            raise ValueError(
                f"compute.micro_batch_size is {training.compute.micro_batch_size}, but the norms of ALIT's adversaries "
                f"look at the whole batch at once; leave it out, and let more processes share the batch"
            )
        model.requires_grad_(True)
        model.base.quantize.requires_grad_(False)
        model.encoder.mask_token.requires_grad_(False)
        self.model: Alit = model
        self.losses = losses
        first = Player(model, training)
        self.players = {MODEL: first}
        for name, discriminator in zip(self._adversaries(), losses.discriminators, strict=True):
            betas = training.optimizer.betas
            optimizer = torch.optim.AdamW(
                discriminator.parameters(), betas=betas, weight_decay=_ADVERSARY_DECAY, fused=True
            )
            self.players[name] = Player(discriminator, training, optimizer=optimizer, scaler=first.scaler)
        self.codebook_size = model.facts.codebook_size
        self.config = {"kind": "alit", "model": model.config.resolved()}

    def _adversaries(self) -> list[str]:
        return [f"discriminator_{length}" for length in self.model.config.lengths]

    def turn(self, step: int) -> LengthTurn:
        """Lengths take turns. Once the adversaries count, each length has its adversary's steps, then the model's."""
        start, lengths = self.losses.config.start_step, self.model.config.iterations
        if start is None or step < start:
            return LengthTurn(step % lengths, True)
        cycle = self.losses.config.discriminator_steps + 1
        place = (step - start) % cycle
        return LengthTurn((step - start) // cycle % lengths, place == cycle - 1)

    def updates(self, batch: Batch, step: int, rng: torch.Generator) -> Iterator[Turn]:
        """One player's turn, on the process's whole batch at once, as the adversaries' norms look at the batch."""
        images = floats_on(batch.images, self.device)
        iteration, is_model = self.turn(step)
        with torch.set_grad_enabled(is_model):
            code = self.decoded(images, iteration)
            restored = self.model.decode(code.vectors)
        used = {} if code.quantized is None else {"indices": code.quantized.indices}
        if not is_model:
            terms = self.losses.discriminator_terms(iteration, images, restored)
            yield Turn(self._adversaries()[iteration], {"loss": terms.pop("discriminator_loss"), **terms, **used})
            return
        weight, last = self.losses.config.gan_weight(step), cast(nn.Parameter, self.model.base.decoder.conv_out.weight)
        terms = self.losses.generator_terms(iteration, images, restored, code.quantized, last, weight)
        terms["loss"] = terms["loss"] + self._untouched(iteration)
        yield Turn(MODEL, {**terms, **used})

    def decoded(self, images: Tensor, iteration: int) -> Code:
        """The code of images (B, 3, H, W) after an iteration, beyond which nothing is computed."""
        return self.model.code(next(state for state in self.model.rollout(images) if state.iteration == iteration))

    def _untouched(self, iteration: int) -> Tensor:
        """Zero, with a gradient of 0 for what the first iteration does not use: processes wait for every gradient."""
        unused = self.model.encoder.norm_recursive.parameters() if iteration == 0 else ()
        return torch.stack([torch.zeros((), device=self.device), *(value.sum() * 0.0 for value in unused)]).sum()
