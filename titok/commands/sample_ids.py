"""``titok sample`` without a tokenizer: the ids alone, for a decoder that is not ours."""

from __future__ import annotations

import argparse

import numpy as np

from titok.commands.image_files import batches
from titok.commands.outputs import facts_beside
from titok.config.measuring_jobs import SampleJob
from titok.errors import OptionError
from titok.generation.generate import generate
from titok.generation.sample import balanced_labels
from titok.models.folder import load_generator
from titok.models.parameters import count_parameters
from titok.runtime.device import select_device
from titok.runtime.files import save_npz, write_json
from titok.runtime.manifest import provenance
from titok.runtime.progress import progress


def sample_ids(options: argparse.Namespace, job: SampleJob) -> None:
    """Writes `ids` (N, K) and `labels` (N,) and, beside them, how they were made.

    Raises:
        OptionError: the output is no single file, or samples have lengths of their own.
    """
    if options.output.suffix != ".npz":
        raise OptionError(f"--output is {options.output}; ids go into one file: name it <name>.npz")
    device = select_device(options.device)
    generator = load_generator(options.generator, device)
    labels = balanced_labels(job.num_samples, job.num_classes)
    made = []
    with progress(len(labels), desc="sampling", unit="sample") as bar:
        for part in batches(len(labels), job.batch_size):
            places = np.arange(part.start, part.stop)
            made.append(generate(generator, labels[part], job.sampler, seed=options.seed, indices=places).cpu().numpy())
            bar.update(len(places))
    save_npz(options.output, ids=np.concatenate(made).astype(np.uint16), labels=labels)
    inputs = {"generator": options.generator}
    facts = {
        "protocol": {"sampler": job.sampler.resolved(), "num_samples": job.num_samples},
        "generator_parameters": count_parameters(generator),
        "provenance": provenance(seed=options.seed, config=job.resolved(), inputs=inputs, device=device),
    }
    write_json(facts_beside(options.output), facts)
    print(f"{options.output}: ids of {len(labels)} samples, and no images: no --tokenizer is named")
