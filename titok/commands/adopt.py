"""``titok adopt``: released weights take the place of a model that a study would otherwise train."""

from __future__ import annotations

import argparse
from typing import Any

from titok.commands.outputs import check_places
from titok.config.load import load_job
from titok.config.released_jobs import ReleasedGeneratorJob, ReleasedTokenizerJob, ReleasedVQGANJob
from titok.models.folder import own_config
from titok.models.hub import find, load, save
from titok.models.parameters import count_parameters
from titok.runtime.files import sha256_file, write_json
from titok.runtime.manifest import provenance
from titok.runtime.weights import WeightsError, files_of

Job = ReleasedTokenizerJob | ReleasedGeneratorJob | ReleasedVQGANJob

_KINDS: dict[str, type[Job]] = {
    kind.adopts: kind for kind in (ReleasedTokenizerJob, ReleasedGeneratorJob, ReleasedVQGANJob)
}

_TRAINING_ONLY = frozenset(
    {
        "init_std",
        "attention_init_gain",
        "codebook_init",
        "commitment_weight",
        "reanchor_codes",
        "dropout",
        "class_dropout_prob",
    }
)
"""Settings that change how a model is trained, not what trained weights compute."""


def adopt(options: argparse.Namespace) -> None:
    """Opens released weights, checks that they are the model the study names, and writes them as a model folder.

    Raises:
        WeightsError: they are of another kind or of other sizes; every difference is listed.
    """
    job = load_job(options.config, _KINDS[options.kind])
    weights, _ = find(job.source)
    check_places(options, files_of(weights))
    model = load(job.source)
    if own_config(model)["kind"] != options.kind:
        raise WeightsError(f"{job.source} is a {type(model).__name__}; the study wants a {options.kind}: name another")
    found = differences(relevant(job.model.resolved()), relevant(model.config.resolved()))
    if found:
        raise WeightsError(
            f"{job.source} is not what the study says: {'; '.join(found)}. Correct the study's entry, or its source"
        )
    save(model, options.output.parent, layout="own")
    first, *parts = files_of(weights)
    inputs = {"weights": first, **{f"weights, part {number}": part for number, part in enumerate(parts, 1)}}
    manifest = {
        "task": "released",
        "source": job.source,
        "sha256": sha256_file(weights),
        "parameters": count_parameters(model),
        "config": job.resolved(),
        "provenance": provenance(seed=None, config=job.resolved(), inputs=inputs),
    }
    write_json(options.output.parent / "manifest.json", manifest)


def relevant(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that trained weights depend on; what a model does not have, its settings need not agree on."""
    ignored = set(_TRAINING_ONLY)
    if settings.get("kind") == "vae":
        ignored |= {"codebook_size", "use_l2_norm"}
    if settings.get("head") == "pixels":
        ignored |= {"pixel_lookup"}
    return {
        key: relevant(value) if isinstance(value, dict) else value
        for key, value in settings.items()
        if key not in ignored
    }


def differences(expected: dict[str, Any], found: dict[str, Any], where: str = "") -> list[str]:
    """Settings that differ, as `encoder.width: study 512, weights 1024`."""
    lines = []
    for key in sorted(expected.keys() | found.keys()):
        ours, theirs = expected.get(key), found.get(key)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            lines += differences(ours, theirs, f"{where}{key}.")
        elif ours != theirs:
            lines.append(f"{where}{key}: study {ours!r}, weights {theirs!r}")
    return lines
