"""``titok external-tokens``: the ids that another program made, checked and kept as ours are."""

from __future__ import annotations

import argparse

from titok.config.data_jobs import ExternalTokensJob
from titok.config.load import load_job
from titok.data.foreign_tokens import foreign_ids
from titok.data.shard_index import split_of
from titok.data.shards import ShardReader
from titok.data.tokens import save_tokens
from titok.runtime.files import sha256_file

VIEW = "as another program saw it"


def bring_in(options: argparse.Namespace) -> None:
    """Writes a token file for `titok train generator`, one view per image."""
    job = load_job(options.config, ExternalTokensJob)
    with ShardReader(*split_of(options.data)) as reader:
        keys, labels, fingerprint = reader.keys.tolist(), reader.labels, reader.fingerprint
    ids = foreign_ids(options.ids, keys, labels, num_tokens=job.num_latent_tokens, codebook_size=job.codebook_size)
    source = {"external": job.name, "codebook_size": job.codebook_size, "ids_sha256": sha256_file(options.ids)}
    save_tokens(options.output, ids[:, None], labels, fingerprint=fingerprint, views=[VIEW], source=source)
    print(f"{options.output}: {len(ids)} images of {job.num_latent_tokens} ids")
