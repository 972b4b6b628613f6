"""``titok tokens`` and ``titok parity``: images to token ids, and how decoders differ."""

from __future__ import annotations

import argparse

from titok.config.job_settings import TokensJob
from titok.config.load import load_job


def extract_tokens(options: argparse.Namespace) -> None:
    """Tokenises every view of every training image."""
    import torch

    from titok.data.opening import open_images
    from titok.data.tokens import empty_tokens, save_tokens
    from titok.data.views import views_of
    from titok.models.folder import load_image_tokenizer
    from titok.runtime.device import select_device
    from titok.runtime.files import sha256_file
    from titok.runtime.progress import progress

    job = load_job(options.config, TokensJob)
    device = select_device(options.device)
    model = load_image_tokenizer(options.tokenizer, device)
    images = open_images(options.data, "train", job.dataset, workers=options.workers)
    declared = views_of(job.views)
    crop = job.dataset.image_size
    num_tokens = model.tokenize(torch.zeros(1, 3, crop, crop, device=device)).shape[1]
    tokens = empty_tokens(len(images), len(declared), num_tokens, model.config.codebook_size)
    with progress(len(declared) * len(images), desc="tokens", unit="image") as bar:
        for place, view in enumerate(declared):
            done = 0
            for batch in images.crops(crop, where=view.crop_of):
                tokens[done : done + len(batch.labels), place] = model.tokenize(batch.images.to(device)).cpu()
                done += len(batch.labels)
                bar.update(len(batch.labels))
    save_tokens(
        options.output,
        tokens,
        images.labels,
        fingerprint=images.fingerprint,
        views=[view.name for view in declared],
        source={
            "tokenizer_sha256": sha256_file(options.tokenizer),
            "views": [view.spec() for view in declared],
            **job.dataset.resolved(),
        },
    )


def parity(options: argparse.Namespace) -> None:
    """Writes how another decoder's pixels differ from Pillow's, and prints it."""
    from titok.data.parity import compare_decoders
    from titok.data.streamed import StreamedSet
    from titok.runtime.files import write_json

    images = StreamedSet(options.data.parent, options.split, options.resize, workers=options.workers)
    report = compare_decoders(images, options.crop, options.decoder, options.images)
    write_json(options.output, report)
    for name, value in report.items():
        print(f"{name.replace('_', ' ')}: {value}")
