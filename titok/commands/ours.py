"""Which existing files a verb may replace without being told so: its own, of the same thing.

A step that is run again must go through, a model or score of something else must not be lost. Nothing here is looked at
unless a file is in the way.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from titok.commands.outputs import facts_beside
from titok.runtime.files import FileError, load_npz, read_json, sha256_file

Ours = Callable[[argparse.Namespace, Path], bool]


def score(options: argparse.Namespace, path: Path) -> bool:
    """A record of the same subject, the examples beside one, or the table of images beside one that is there."""
    if path.suffix == ".csv":
        begins = path.read_text(encoding="utf-8", errors="replace").startswith("image,key,label,psnr,")
        return begins and score(options, options.output)
    if path.suffix == ".npz":
        return _arrays(path).keys() == {"images", "row_labels"}
    if hasattr(options, "subject"):
        wanted = options.subject
    elif hasattr(options, "reconstructions"):
        wanted = {"stage": "external"}
    else:
        wanted = {"tokenizer": options.codec, "stage": f"q{options.quality}"}
    found = _document(path)
    return "protocol_id" in found and wanted.items() <= dict(found.get("subject", {})).items()


def training(options: argparse.Namespace, path: Path) -> bool:
    """The model of a training of the same task, seed and settings, or what is there of it after a kill."""
    from titok.config.jobs import JOBS
    from titok.config.load import load_job

    settings = json.loads(json.dumps(load_job(options.config, JOBS[options.task]).resolved()))
    manifest = path.with_name("manifest.json")
    if not manifest.exists():
        return _document(path.with_name("config.json")).get("model", settings["model"]) == settings["model"]
    found = _document(manifest)
    is_same_run = (found.get("task"), found.get("seed")) == (options.task, options.seed)
    return is_same_run and _agree(found.get("config"), settings)


def adopted(options: argparse.Namespace, path: Path) -> bool:
    """The same released weights, or what a kill left of them."""
    from titok.config.load import read_yaml

    settings, manifest = read_yaml(options.config), path.with_name("manifest.json")
    if not manifest.exists():
        return _agree(_document(path.with_name("config.json")).get("model"), settings.get("model"))
    found = _document(manifest)
    return found.get("task") == "released" and found.get("source") == settings.get("source")


def tokens(options: argparse.Namespace, path: Path) -> bool:
    """Tokens by the same tokenizer."""
    return bool(_source_of_tokens(path).get("tokenizer_sha256") == sha256_file(options.tokenizer))


def external_tokens(options: argparse.Namespace, path: Path) -> bool:
    """Ids of the same row of a study, which may have been made anew."""
    from titok.config.load import read_yaml

    source = _source_of_tokens(path)
    return "external" in source and source["external"] == dict(read_yaml(options.config)).get("name")


def _source_of_tokens(path: Path) -> dict[str, Any]:
    """What a token file says of who made its ids; nothing of another file."""
    return dict(json.loads(str(_arrays(path).get("about", "{}"))).get("source", {}))


def codes(options: argparse.Namespace, path: Path) -> bool:
    """Codes, which the verb itself compares with its settings, or what a kill left of them."""
    from titok.data.rows.parts import parts_beside

    return "facts" in _document(options.output.with_suffix(".json")) or parts_beside(options.output).is_dir()


def shards(options: argparse.Namespace, path: Path) -> bool:
    """Shards of an earlier preparation: its plan or index lies beside them. Digits are written at once, unplanned."""
    from titok.config.load import read_yaml

    folder: Path = options.output
    is_planned = dict(read_yaml(options.config).get("dataset") or {}).get("kind") != "digits"
    indices = (str(_arrays(index).get("about", "")) for index in folder.glob("*.index.npz"))
    return not is_planned or (folder / "preparation").is_dir() or any("titok-shards" in about for about in indices)


def samples(options: argparse.Namespace, path: Path) -> bool:
    """Samples of the same models and seed, finished (their facts lie beside them) or not (their parts are there)."""
    output: Path = options.output
    models = {name: sha256_file(getattr(options, name)) for name in ("generator", "tokenizer")}
    made = _document(facts_beside(output)).get("provenance")
    if made is None:
        parts = output.with_suffix(".parts") if output.suffix == ".npz" else output
        begun = _document(parts / "identity.json")
        return (begun.get("seed"), begun.get("models")) == (options.seed, models)
    found = {name: made.get("inputs", {}).get(name, {}).get("sha256") for name in models}
    return made.get("seed") == options.seed and found == models


def written_together(options: argparse.Namespace, path: Path) -> bool:
    """One of several files that are always written together, and all of them are there."""
    written, _, _ = options.places
    return all(other.exists() for other in written(options))


def resolved(options: argparse.Namespace, path: Path) -> bool:
    """Settings of a job of the same kind."""
    from titok.config.jobs import job
    from titok.config.load import ConfigError, load_study, read_yaml

    try:
        wanted = job(load_study(options.study), options.kind, options.name).resolved()
        return read_yaml(path).keys() == wanted.keys()
    except (ConfigError, KeyError):
        return False


def facts(options: argparse.Namespace, path: Path) -> bool:
    """Measurements of the full-size models."""
    return "bits_per_image" in dict(_document(path).get("vqgan", {}))


def page(options: argparse.Namespace, path: Path) -> bool:
    """A study's page."""
    return '<dl class="facts">' in path.read_text(encoding="utf-8", errors="replace")


def crate(options: argparse.Namespace, path: Path) -> bool:
    """A study that was packed."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "ro-crate-metadata.json" in archive.namelist()
    except zipfile.BadZipFile:
        return False


def plan(options: argparse.Namespace, path: Path) -> bool:
    """A plan, as text or as data."""
    if path == options.json:
        return {"format", "gpu_hours", "storage"} <= _document(path).keys()
    return path.read_text(encoding="utf-8", errors="replace").startswith("Study ")


def _agree(one: Any, other: Any) -> bool:
    """Whether all settings that both name are equal; what decides no result may be left out of one, sums be unknown."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_agree(one[key], other[key]) for key in one.keys() & other.keys())
    return one == other or one is None or other is None


def evidence(options: argparse.Namespace, path: Path) -> bool:
    """The manifest of a folder with the same study's evidence."""
    return bool(_document(path).get("study") == options.results.resolve().name)


def _document(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    try:
        found = read_json(path)
    except FileError:
        return {}
    return found if isinstance(found, dict) else {}


def _arrays(path: Path) -> dict[str, Any]:
    try:
        return load_npz(path, skip=("tokens", "labels", "arr_0"))
    except FileError:
        return {}
