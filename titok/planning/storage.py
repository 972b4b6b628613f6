"""What a study takes on the disk, from what its files hold; small files count with a flat size."""

from __future__ import annotations

from typing import NamedTuple

from titok.config.entries import Tokenizer
from titok.config.length_stages import scored_lengths
from titok.config.probe import Reading
from titok.config.soft_models import soft_model
from titok.config.study import Study
from titok.config.study_models import generator_model
from titok.config.tokenizer_facts import tokenizer_facts
from titok.planning.counts import classifier_flops, generator_flops
from titok.planning.graph import Job
from titok.planning.work import TRAINING_RULES, num_images, parts_of

SMALL_FILE = 20_000
"""Settings, scores, tables and logs, in bytes."""

SMALL_IMAGE, PHOTOGRAPH = 400, 115_000
"""Mean bytes of an image file, where nothing else is known: of ImageNet, or of a kind whose images are small."""

_WEIGHT, _CHECKPOINT = 4, 16
"""Bytes per parameter: float32 weights; with their average and Adam's two moments in a checkpoint."""

_EXAMPLES = 2 * 32
"""Images in the file beside a reconstruction score: originals and reconstructions."""


class Storage(NamedTuple):
    """Bytes and number of files."""

    size: float
    files: int


def storage_of(planned: Job, study: Study) -> Storage:
    """What a job leaves behind, its undeclared checkpoints and shards included."""
    pixels = 3 * study.dataset.image_size**2
    size, files = float(SMALL_FILE * len(planned.outputs)), len(planned.outputs)
    if planned.rule in TRAINING_RULES or planned.rule.startswith("adopt_"):
        parameters, kept = _model(planned, study)
        return Storage(size + parameters * (_WEIGHT + _CHECKPOINT * kept), files + kept)
    if planned.rule in ("extract_tokens", "extract_vqgan_codes"):
        tokens = tokenizer_facts(study, planned.tokenizer).num_tokens
        return Storage(size + 2 * num_images(study, "train") * study.token_views.number * tokens, files)
    if planned.rule == "extract_codes" and study.proxy_codes:
        codes = tokenizer_facts(study, planned.tokenizer).num_tokens
        return Storage(size + 2 * num_images(study, "train") * study.proxy_codes.views.number * codes, files)
    if planned.rule == "sample_generator":
        return Storage(size + study.evaluation.num_samples * pixels, files)
    if planned.rule == "sample_ids":
        tokens = tokenizer_facts(study, study.generators[planned.wildcards["generator"]].tokenizer).num_tokens
        return Storage(size + 2 * study.evaluation.num_samples * tokens, files)
    if planned.rule in ("score_reconstruction", "score_vqgan"):
        return Storage(size + _EXAMPLES * pixels, files)
    if planned.rule == "score_probe" and study.probe.views:
        features = _features(study, planned.wildcards["tokenizer"])
        return Storage(size + 4 * features * study.probe.views.number * num_images(study, "train"), files + 1)
    if planned.rule in ("merge_data", "prepare_data"):
        return _shards(planned, study, size, files)
    return Storage(size, files)


def _features(study: Study, name: str) -> int:
    """Numbers that the probe keeps of one view of an image."""
    if name in study.soft_tokenizers:
        model = soft_model(study, name)
        width, tokens = model.encoder.width, model.num_latent_tokens
        return sum(_pooled(reading, width, tokens) for reading in study.probe.all_readings)
    two_dimensional = study.two_dimensional(name)
    if two_dimensional:
        width, tokens = two_dimensional.code_dim, tokenizer_facts(study, name).num_tokens
        return sum(_pooled(reading, width, tokens) for reading in study.probe.all_readings)
    entry = study.tokenizers[name]
    found = sum(_columns(study, entry, reading, entry.num_latent_tokens) for reading in study.probe.all_readings)
    if study.reporting.tables.probes_lengths:
        shorter = (length for length in scored_lengths(study, name) if length < entry.num_latent_tokens)
        found += sum(_columns(study, entry, study.probe.first, length) for length in shorter)
    return found


def _columns(study: Study, entry: Tokenizer, reading: Reading, num_tokens: int) -> int:
    """Features of one reading of the probe, of a code of so many tokens."""
    width = study.sizes[entry.encoder].width if reading.of == "width" else entry.code_dim
    return _pooled(reading, width, num_tokens)


def _pooled(reading: Reading, width: int, num_tokens: int) -> int:
    """Numbers of tokens of a width, side by side or averaged."""
    return width * (num_tokens if reading.pooling == "concatenate" else 1)


def _model(planned: Job, study: Study) -> tuple[int, int]:
    """Parameters of a trained or adopted model, and how many checkpoints stay beside it."""
    kind = TRAINING_RULES.get(planned.rule)
    name = planned.wildcards.get(kind.wildcard if kind else "", "all")
    kept = kind.of(study, name).training.keep_checkpoints if kind else 0
    wildcards = planned.wildcards
    if "classifier" in wildcards:
        model = study.classifiers[wildcards["classifier"]].model
        return classifier_flops(model, study.dataset.image_size).parameters, kept
    if "generator" in wildcards:
        return generator_flops(generator_model(study, wildcards["generator"])).parameters, kept
    stage = wildcards.get("stage", kind.kind if kind else "released")
    parts = parts_of(study, planned.tokenizer, stage)
    return sum(part.parameters for part in parts.values()), kept


def _shards(planned: Job, study: Study, size: float, files: int) -> Storage:
    """The images, whose bytes the shards keep."""
    source = study.dataset.source
    splits = ("train", "test") if planned.rule == "prepare_data" else (planned.wildcards["split"],)
    for split in splits:
        images = num_images(study, split)  # type: ignore[arg-type]
        each = SMALL_IMAGE if source.is_small else PHOTOGRAPH
        size += source.split_bytes[split] if source.split_bytes else each * images
        files += -(-images // study.dataset.shard_images)
    return Storage(size, files)
