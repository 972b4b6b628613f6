"""``titok tokens``: images to token ids."""

from __future__ import annotations

import argparse

from titok.config.jobs import TokensJob
from titok.config.load import load_job


def extract_tokens(options: argparse.Namespace) -> None:
    """Tokenises every view of every training image."""
    import torch

    from titok.data.images import load_images, view_images
    from titok.data.tokens import save_tokens
    from titok.models.folder import load_tokenizer
    from titok.runtime.device import select_device
    from titok.runtime.files import sha256_file
    from titok.runtime.progress import progress

    job = load_job(options.config, TokensJob)
    device = select_device(options.device)
    model = load_tokenizer(options.tokenizer, device)
    images = load_images(options.data.parent, "train", job.dataset.resize)
    views = []
    with progress(job.views.num_views * len(images), desc="tokens", unit="image") as bar:
        for view in range(job.views.num_views):
            tokens = []
            for batch in view_images(images, job.dataset.image_size, view, random_flip=job.views.random_flip):
                tokens.append(model.tokenize(batch.images.to(device)).cpu())
                bar.update(len(batch.labels))
            views.append(torch.cat(tokens))
    save_tokens(
        options.output,
        torch.stack(views, dim=1),
        images.labels,
        fingerprint=images.fingerprint,
        views=["centre", *(f"random crop {view}" for view in range(1, job.views.num_views))],
        source={"tokenizer_sha256": sha256_file(options.tokenizer), **job.views.resolved()},
    )
