"""``titok tokens`` and ``titok parity``: images to token ids, and how decoders differ."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from titok.commands.extraction import asks_for_some, chosen_parts, made_by
from titok.commands.image_files import refuse_broken_latents
from titok.commands.quality import token_rows
from titok.config.adaptive_length import TokenLengths
from titok.config.data_jobs import TokensJob
from titok.config.load import load_job
from titok.config.views import StoredCodes
from titok.data.images import BATCH_SIZE
from titok.data.parity import compare_decoders
from titok.data.rows.extraction import Encode, ViewReader, make_parts
from titok.data.rows.facts import PART_IMAGES, Facts, RowsError
from titok.data.rows.parts import PartFolder
from titok.data.rows.store import join
from titok.data.shard_index import read_index, split_of
from titok.data.streamed import StreamedSet
from titok.data.tokens import save_tokens
from titok.models.folder import load_image_tokenizer
from titok.runtime.device import select_device
from titok.runtime.files import sha256_file, write_json


def extract_tokens(options: argparse.Namespace) -> None:
    """Tokenises every view of every training image, or of those in some parts; stopped, the same command goes on."""
    _refuse_earlier(options.output)
    job = load_job(options.config, TokensJob)
    device = select_device(options.device)
    model = load_image_tokenizer(options.tokenizer, device)
    refuse_broken_latents(model)
    lengths = job.lengths if model.facts.lengths else None
    encode = token_rows(model, lengths, device)
    facts = _facts_of(options, job, lengths, model.facts.codebook_size, encode)
    folder, chosen = PartFolder.of(options.output, facts), chosen_parts(facts, options)
    read, by = ViewReader(*split_of(options.data), facts), made_by(device, BATCH_SIZE)
    make_parts(read, encode, folder, chosen, batch_size=BATCH_SIZE, workers=options.workers, made_by=by)
    if asks_for_some(options):
        print(f"{folder.path}: {len(chosen)} of {len(facts.parts())} parts; when all are there, run it without --part")
        return
    store = join(folder)
    save_tokens(
        options.output,
        store.ids,
        read.samples.labels,
        fingerprint=facts.fingerprint,
        views=[view.name for view in read.views],
        source={"tokenizer_sha256": facts.network_sha256, "views": facts.view_specs, **job.dataset.resolved()},
        lengths=store.lengths,
    )
    folder.remove()


def _facts_of(
    options: argparse.Namespace, job: TokensJob, lengths: TokenLengths | None, size: int | None, encode: Encode
) -> Facts:
    about, side = read_index(*split_of(options.data)).about, job.dataset.image_size
    return Facts.of(
        job.dataset,
        StoredCodes(views=job.views, part_images=PART_IMAGES),
        fingerprint=about["fingerprint"],
        images=about["samples"],
        network_sha256=sha256_file(options.tokenizer),
        codebook_size=size,
        columns=encode(torch.zeros(1, 3, side, side, dtype=torch.uint8)).shape[1],
        lengths=lengths,
    )


def _refuse_earlier(output: Path) -> None:
    """Raises ``RowsError`` where an earlier version began: it went through all images view by view, in one file."""
    begun = output.with_suffix(".rows")
    if begun.exists():
        raise RowsError(
            f"{begun} holds tokens that an earlier version began, in another order than this one goes on in; delete it "
            f"and {begun.with_suffix('.json').name}, and all views are tokenised anew, or finish it with that version"
        )


def parity(options: argparse.Namespace) -> None:
    """Writes how another decoder's pixels differ from Pillow's, and prints it."""
    images = StreamedSet(*split_of(options.data), options.resize, workers=options.workers)
    report = compare_decoders(images, options.crop, options.decoder, options.images)
    write_json(options.output, report)
    for name, value in report.items():
        print(f"{name.replace('_', ' ')}: {value}")
