"""``titok tokens`` and ``titok parity``: images to token ids, and how decoders differ."""

from __future__ import annotations

import argparse

from titok.config.data_jobs import TokensJob
from titok.config.load import load_job


def extract_tokens(options: argparse.Namespace) -> None:
    """Tokenises every view of every training image; stopped, the same command goes on."""
    import numpy as np

    from titok.commands.quality import token_rows
    from titok.data.images import BATCH_SIZE
    from titok.data.opening import open_images
    from titok.data.tokens import require_16_bits, save_tokens
    from titok.data.view_rows import remove_rows, rows_of_views
    from titok.data.views import views_of
    from titok.models.folder import load_image_tokenizer
    from titok.runtime.device import select_device
    from titok.runtime.files import sha256_file

    job = load_job(options.config, TokensJob)
    device = select_device(options.device)
    model = load_image_tokenizer(options.tokenizer, device)
    images = open_images(options.data, job.dataset, workers=options.workers)
    declared = views_of(job.views)
    require_16_bits(model.facts.codebook_size or 1)
    source = {
        "tokenizer_sha256": sha256_file(options.tokenizer),
        "views": [view.spec() for view in declared],
        **job.dataset.resolved(),
    }
    lengths = job.lengths if model.facts.lengths else None
    rows = options.output.with_suffix(".rows")
    found = rows_of_views(
        rows,
        {"images": images.fingerprint, **source, **({"lengths": lengths.resolved()} if lengths else {})},
        images,
        declared,
        token_rows(model, lengths, device),
        np.uint16,
        crop=job.dataset.image_size,
        batch_size=BATCH_SIZE,
        desc="tokens",
    )
    found = found.transpose(1, 0, 2)
    save_tokens(
        options.output,
        found[..., :-1] if lengths else found,
        images.labels,
        fingerprint=images.fingerprint,
        views=[view.name for view in declared],
        source=source,
        lengths=found[..., -1] if lengths else None,
    )
    remove_rows(rows)


def parity(options: argparse.Namespace) -> None:
    """Writes how another decoder's pixels differ from Pillow's, and prints it."""
    from titok.data.parity import compare_decoders
    from titok.data.shard_index import split_of
    from titok.data.streamed import StreamedSet
    from titok.runtime.files import write_json

    images = StreamedSet(*split_of(options.data), options.resize, workers=options.workers)
    report = compare_decoders(images, options.crop, options.decoder, options.images)
    write_json(options.output, report)
    for name, value in report.items():
        print(f"{name.replace('_', ' ')}: {value}")
