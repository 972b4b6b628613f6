"""A study's own classifier: judge of its scores, or perceptual network of its losses, where no Inception fits."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from titok.config.model import ClassifierModel
from titok.config.training import Training
from titok.data.images import Batch
from titok.data.transforms import floats_on
from titok.models.classifier import Classifier
from titok.runtime.transfers import sent
from titok.training.optimizer import Player
from titok.training.task import MODEL, Task, Turn


class ClassifierTask(Task):
    """Cross entropy on the images' classes."""

    name = "classifier"

    def __init__(self, model: Classifier, config: ClassifierModel, training: Training) -> None:
        super().__init__()
        self.model = model
        self.players = {MODEL: Player(model, training)}
        self.config = {"kind": "classifier", "model": config.resolved()}

    def updates(self, batch: Batch, step: int, rng: torch.Generator) -> Iterator[Turn]:
        """One update."""
        images = floats_on(batch.images, self.device)
        labels = sent(batch.labels, self.device)
        for rows, share in self.shares.passes(len(images)):
            yield Turn(MODEL, class_terms(self.model(images[rows]), labels[rows]), share)


def class_terms(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Cross entropy and accuracy of class logits (B, C) for labels (B,)."""
    correct = logits.detach().argmax(dim=1) == labels
    return {"loss": F.cross_entropy(logits, labels), "accuracy": correct.float().mean()}
