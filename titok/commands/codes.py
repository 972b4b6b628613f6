"""``titok codes extract | merge | verify``: proxy codes of every view of every image, computed once and checked."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from PIL import features

from titok.commands.proxy_encoder import TOLERANCE, ProxyEncoder
from titok.config.data_jobs import CodesJob
from titok.config.load import load_job
from titok.data.code_extraction import ViewReader, extract_parts, verify_sample
from titok.data.code_facts import CodeFacts, CodesError, Precision
from titok.data.code_parts import PartFolder, covering, share
from titok.data.code_store import CodeStore, facts_beside, merge
from titok.data.shard_index import read_index, split_of
from titok.runtime.files import sha256_file
from titok.runtime.manifest import provenance
from titok.runtime.progress import progress


def extract(options: argparse.Namespace) -> None:
    """Makes the parts that are missing; merges them unless the job was given only some."""
    output = array_path(options.output)
    encoder = ProxyEncoder.load(options.vqgan, options.device, options.precision)
    facts = facts_of(options, encoder)
    folder = PartFolder.of(output, facts)
    if _is_complete(output, facts, partly=bool(options.part or options.range)):
        folder.remove()  # of a job that was killed while deleting it
        print(f"{output}: complete already")
        return
    chosen = _chosen(facts, options.part, options.range)
    missing = folder.missing(chosen)
    images = sum(map(len, chosen))
    with progress(images, images - sum(map(len, missing)), desc="codes", unit="image") as bar:
        extract_parts(
            ViewReader(*split_of(options.data), facts),
            encoder.codes,
            folder,
            missing,
            batch_size=options.batch_size,
            workers=options.workers,
            made_by=made_by(encoder.device, options.batch_size),
            tell=bar.update,
        )
    if options.part or options.range:
        print(
            f"{folder.path}: {len(chosen)} of {len(facts.parts())} parts; titok codes merge {output} when all are there"
        )
    else:
        _report(merge(folder, output, keep_parts=options.keep_parts))


def _is_complete(output: Path, facts: CodeFacts, *, partly: bool) -> bool:
    """Whether the array is there, of these settings; another one stays until the parts of all jobs are merged.

    Raises:
        CodesError: it is of others, and this job alone would replace it.
    """
    if not (facts_beside(output).exists() and output.exists()):
        return False
    store = CodeStore.open(output)
    try:
        store.require(facts.as_dict(), "these settings")
    except CodesError:
        if not partly:
            raise
        return False
    return True


def merge_parts(options: argparse.Namespace) -> None:
    """Joins the parts of several jobs."""
    output = array_path(options.output)
    _report(merge(PartFolder.only(output), output, keep_parts=options.keep_parts))


def verify(options: argparse.Namespace) -> None:
    """Compares hashes, and codes of random images with codes computed now, in the precision they were made in."""
    store = CodeStore.open(array_path(options.file))
    precision: Precision = store.facts.precision
    encoder = ProxyEncoder.load(options.vqgan, options.device, precision)
    store.require({"vqgan_sha256": sha256_file(options.vqgan)}, "this VQGAN")
    read = ViewReader(*split_of(options.data), store.facts)
    store.verify_hashes()
    with progress(min(options.samples, store.facts.images), desc="verify", unit="image") as bar:
        found = verify_sample(
            store,
            read,
            encoder.gaps,
            samples=options.samples,
            seed=options.seed,
            batch_size=options.batch_size,
            workers=options.workers,
            tolerance=TOLERANCE[precision],
            tell=bar.update,
        )
    print(
        f"{store.path}: {len(store.records)} parts as written; {found.images} images encoded again: of {found.codes} "
        f"codes, {found.changed} are rounded to another one (relative gap up to {found.worst_gap:.1g})"
    )


def facts_of(options: argparse.Namespace, encoder: ProxyEncoder) -> CodeFacts:
    """What the codes of these options are codes of."""
    job = load_job(options.config, CodesJob)
    directory, split = split_of(options.data)
    about = read_index(directory, split).about
    return CodeFacts.of(
        job.codes,
        job.dataset,
        encoder.vqgan.config,
        vqgan_sha256=sha256_file(options.vqgan),
        fingerprint=about["fingerprint"],
        images=about["samples"],
        precision=encoder.precision,
    )


def array_path(path: Path) -> Path:
    """``path``, which must name an array."""
    if path.suffix != ".npy":
        raise CodesError(f"{path} must end in .npy; its facts and parts are kept beside it")
    return path


def made_by(device: torch.device, batch_size: int) -> dict[str, Any]:
    """What about this computer may move a code that lies halfway between two."""
    found = provenance(seed=None, config=None, device=device)
    kept = {name: found[name] for name in ("device", "machine", "packages")}
    return {**kept, "libjpeg": features.version("jpg"), "batch_size": batch_size}


def _chosen(facts: CodeFacts, part: tuple[int, int] | None, images: tuple[int, int] | None) -> list[range]:
    if part:
        return share(facts.parts(), *part)
    return covering(facts.parts(), *images) if images else facts.parts()


def _report(store: CodeStore) -> None:
    images, views, codes = store.facts.shape
    print(f"{store.path}: {images} images, {views} views, {codes} codes each, {store.codes.nbytes / 1e6:.1f} MB")
