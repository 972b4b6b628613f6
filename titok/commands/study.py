"""Verbs about studies; no torch here."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from titok.config.absent import absent_files
from titok.config.jobs import job, job_names
from titok.config.load import ConfigError, dump_yaml, load_study
from titok.config.study import Study
from titok.data.foreign_tokens import require_fitting_ids
from titok.errors import ScoreError, TokenError
from titok.evaluation.foreseen import require_enough_images
from titok.runtime.files import write_text

_TITOK, _PROXY = "#/$defs/Tokenizer", "#/$defs/ProxyTokenizer"


def check(options: argparse.Namespace) -> None:
    """Reads a study; prints what it trains, or every mistake in it."""
    study = load_study(options.study)
    try:
        require_enough_images(study)
        require_fitting_ids(study)
    except (ScoreError, TokenError) as error:
        raise ConfigError(f"{options.study}: {error}") from None
    print(
        f"{options.study}: study {study.study!r} is in order: {len(study.tokenizers)} tokenizers, "
        f"{len(study.generators)} generators, {len(study.samplers)} samplers"
    )
    # A warning: studies are written and planned on machines that have none of their data.
    if missing := absent_files(study):
        print(f"not on this machine, needed where it runs: {', '.join(missing)}", file=sys.stderr)


def resolve(options: argparse.Namespace) -> None:
    """Writes or prints the resolved settings of one job."""
    study = load_study(options.study)
    if (options.kind, options.name) not in set(job_names(study)):
        known = sorted({name for kind, name in job_names(study) if kind == options.kind})
        allowed = ", ".join(known) or f"kinds {', '.join(sorted({kind for kind, _ in job_names(study)}))}"
        raise ConfigError(f"{options.study} has no {options.kind} {options.name!r}; allowed: {allowed}")
    text = dump_yaml(job(study, options.kind, options.name))
    if options.output is None:
        sys.stdout.write(text)
    else:
        write_text(options.output, text)


def schema(options: argparse.Namespace) -> None:
    """Prints the JSON schema of studies."""
    print(json.dumps(study_schema(), indent=2))


def study_schema() -> dict[str, Any]:
    """JSON schema of a study file: `defaults` may hold a part of any entry, so what it completes is not required."""
    document = Study.model_json_schema()
    sections = {"classifier": "Classifier", "tokenizer": "Tokenizer", "generator": "Generator", "sampler": "Sampler"}
    for section in sections.values():
        document["$defs"][section].pop("required", None)
        for part in _referenced(document, section):
            document["$defs"][part].pop("required", None)
    _allow_every_family(document)
    for section_of_names in document["properties"].values():
        if "patternProperties" in section_of_names:
            section_of_names["additionalProperties"] = False
    document["properties"]["defaults"] = {
        "type": "object",
        "description": "Bases of the named entries, merged under each of them.",
        "additionalProperties": False,
        "properties": {base: {"$ref": f"#/$defs/{section}"} for base, section in sections.items()},
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}


def _allow_every_family(document: dict[str, Any]) -> None:
    """A file's `tokenizers` may hold 2D VQGANs and frozen encoders, which say so; `load_study` sorts them. And encoders
    may be called by their names."""
    (pattern,) = document["properties"]["tokenizers"]["patternProperties"]
    sections = [document["properties"][name]["patternProperties"][pattern] for name in ("baselines", "soft_tokenizers")]
    entries = [{"allOf": [entry, {"required": ["family"]}]} for entry in (*sections, {"$ref": _PROXY})]
    by_name = {"type": "string"}
    document["$defs"]["EncoderTokenizer"]["properties"]["encoder"]["anyOf"].append(by_name)
    named = document["$defs"]["EncoderInit"]["properties"]
    named["encoder"] = {"anyOf": [named["encoder"], by_name]}
    document["properties"]["tokenizers"]["patternProperties"] = {pattern: {"anyOf": [{"$ref": _TITOK}, *entries]}}


def _referenced(document: dict[str, Any], section: str) -> set[str]:
    """Names of all definitions that a definition leads to."""
    found: set[str] = set()
    waiting = [section]
    while waiting:
        text = json.dumps(document["$defs"][waiting.pop()])
        for name in document["$defs"]:
            if f'"#/$defs/{name}"' in text and name not in found:
                found.add(name)
                waiting.append(name)
    return found
