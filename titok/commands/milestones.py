"""Scores of a model while it trains: reconstructions of some test images, by the study's own protocol."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import torch
from torch import nn

from titok.commands.score import open_extractor, reconstruct_with
from titok.config.load import ConfigError
from titok.config.training_jobs import ReconstructingJob
from titok.data.opening import open_images
from titok.evaluation.findings import rank_findings, refuse
from titok.evaluation.neighbours import evenly_spaced
from titok.evaluation.reconstruction import score_reconstructions
from titok.models.image_tokenizer import ImageTokenizer
from titok.runtime.processes import place
from titok.training.loop import Evaluate

_KEPT = "rfid", "psnr", "codebook_usage"


def milestone_scores(options: argparse.Namespace, job: ReconstructingJob, device: torch.device) -> Evaluate | None:
    """What scores the model at every milestone; None if the settings want no scores.

    The names of the numbers say of how many images they are: ``rfid_5000``. They are no scores of the paper's kind, for
    a distance between few images is larger.

    Raises:
        ConfigError: no test images were named.
        ScoreError: there are fewer images than the distance needs.
    """
    settings, count = job.evaluation, job.training.milestone_images
    if settings is None or count is None:
        return None
    if not place().is_first:
        return lambda model: {}  # the first process scores
    if options.test is None:
        raise ConfigError(f"training.milestone_images is {count}: give the index of the test images with --test")
    images = open_images(options.test, job.dataset, workers=options.workers)
    chosen = evenly_spaced(count, len(images)).tolist()
    extractor = open_extractor(settings.extractor, options.judge, device)
    refuse(rank_findings(len(chosen), extractor.feature_dim, "images"), settings.checks.allow)

    def scores(model: nn.Module) -> Mapping[str, float]:
        if not isinstance(model, ImageTokenizer):
            raise TypeError(f"a {type(model).__name__} reconstructs no images")
        found = score_reconstructions(
            reconstruct_with(model),
            (batch.images for batch in images.crops(job.dataset.image_size, settings.batch_size, only=chosen)),
            extractor,
            settings,
            codebook_size=model.facts.codebook_size,
            device=device,
        )
        return {f"{name}_{len(chosen)}": found.metrics[name] for name in _KEPT if name in found.metrics}

    return scores
