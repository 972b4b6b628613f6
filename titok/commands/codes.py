"""``titok codes extract | merge | verify``: proxy codes of every view of every image, computed once and checked."""

from __future__ import annotations

import argparse
from pathlib import Path

from titok.commands.extraction import asks_for_some, chosen_parts, made_by
from titok.commands.proxy_encoder import TOLERANCE, ProxyEncoder
from titok.config.data_jobs import CodesJob
from titok.config.load import load_job
from titok.data.rows.extraction import ViewReader, make_parts
from titok.data.rows.facts import Facts, Precision, RowsError, codes_of_a_window
from titok.data.rows.parts import PartFolder
from titok.data.rows.store import RowStore, facts_beside, merge
from titok.data.rows.verification import verify_sample
from titok.data.shard_index import read_index, split_of
from titok.runtime.files import sha256_file
from titok.runtime.progress import progress


def extract(options: argparse.Namespace) -> None:
    """Makes the parts that are missing; merges them unless the job was given only some."""
    output = array_path(options.output)
    encoder = ProxyEncoder.load(options.vqgan, options.device, options.precision)
    facts = facts_of(options, encoder)
    folder = PartFolder.of(output, facts)
    if _is_complete(output, facts, partly=asks_for_some(options)):
        folder.remove()  # of a job that was killed while deleting it
        print(f"{output}: complete already")
        return
    chosen = chosen_parts(facts, options)
    make_parts(
        ViewReader(*split_of(options.data), facts),
        encoder.codes,
        folder,
        chosen,
        batch_size=options.batch_size,
        workers=options.workers,
        made_by=made_by(encoder.device, options.batch_size),
    )
    if asks_for_some(options):
        print(
            f"{folder.path}: {len(chosen)} of {len(facts.parts())} parts; titok codes merge {output} when all are there"
        )
    else:
        _report(merge(folder, output, keep_parts=options.keep_parts))


def _is_complete(output: Path, facts: Facts, *, partly: bool) -> bool:
    """Whether the array is there, of these settings; another one stays until the parts of all jobs are merged.

    Raises:
        RowsError: it is of others, and this job alone would replace it.
    """
    if not (facts_beside(output).exists() and output.exists()):
        return False
    store = RowStore.open(output)
    try:
        store.require(facts.as_dict(), "these settings")
    except RowsError:
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
    store = RowStore.open(array_path(options.file))
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


def facts_of(options: argparse.Namespace, encoder: ProxyEncoder) -> Facts:
    """What the codes of these options are codes of."""
    job = load_job(options.config, CodesJob)
    about = read_index(*split_of(options.data)).about
    return Facts.of(
        job.dataset,
        job.codes,
        fingerprint=about["fingerprint"],
        images=about["samples"],
        network_sha256=sha256_file(options.vqgan),
        codebook_size=encoder.vqgan.config.codebook_size,
        columns=codes_of_a_window(job.dataset.image_size, encoder.vqgan.config),
        precision=encoder.precision,
    )


def array_path(path: Path) -> Path:
    """``path``, which must name an array."""
    if path.suffix != ".npy":
        raise RowsError(f"{path} must end in .npy; its facts and parts are kept beside it")
    return path


def _report(store: RowStore) -> None:
    images, views, codes = store.facts.shape
    print(f"{store.path}: {images} images, {views} views, {codes} codes each, {store.rows.nbytes / 1e6:.1f} MB")
