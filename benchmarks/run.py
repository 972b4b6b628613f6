"""Times the hot paths on this machine: `make bench`. Prints a table and writes benchmarks/latest.json.

Models are of published sizes with freshly initialised weights (speed does not depend on their values), so figures of
two machines or two commits can be compared; run it while nothing else does.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch.utils.benchmark import Timer

from titok.config.model import PUBLISHED_SIZES, GeneratorModel, TokenizerModel
from titok.config.sampling import PUBLISHED_SAMPLERS
from titok.generation.decode import decode_tokens
from titok.generation.noise import CounterNoise
from titok.metrics.frechet import frechet_distance
from titok.metrics.moments import Moments
from titok.models.generator import build_generator
from titok.models.tokenizer import TiTok
from titok.runtime.device import describe_device, select_device
from titok.runtime.files import write_json
from titok.runtime.manifest import provenance

Work = Callable[[], object]


def main() -> None:
    """Runs every benchmark, or those whose name contains the given word."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="?", default="", help="part of a benchmark's name")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("latest.json"))
    options = parser.parse_args()
    device = select_device(options.device)
    rows = []
    with torch.inference_mode():
        for name, unit, count, work in benchmarks(device, options.batch_size):
            if options.only not in name:
                continue
            measured = Timer("work()", globals={"work": work}, num_threads=torch.get_num_threads()).blocked_autorange(
                min_run_time=2
            )
            rows.append({"name": name, "seconds": measured.median, "per_second": count / measured.median, "unit": unit})
            print(f"{name:44s} {measured.median:10.4f} s {count / measured.median:12.2f} {unit}/s", flush=True)
    facts = provenance(seed=0, config=vars(options) | {"output": None}, device=device)
    write_json(options.output, {"device": describe_device(device), "rows": rows, "provenance": facts})


def benchmarks(device: torch.device, batch: int) -> Iterator[tuple[str, str, int, Work]]:
    """(name, unit, units per call, what to time)."""
    small = PUBLISHED_SIZES["small"]
    tokenizer = TiTok(TokenizerModel(encoder=small, decoder=small, num_latent_tokens=128)).to(device).eval()
    images = torch.rand(batch, 3, 256, 256, device=device)
    tokens = torch.randint(4096, (batch, 128), device=device)
    yield "TiTok-S-128 tokenize", "images", batch, lambda: tokenizer.tokenize(images)
    yield "TiTok-S-128 detokenize", "images", batch, lambda: tokenizer.detokenize(tokens)

    generator = build_generator(GeneratorModel()).to(device).eval()
    labels, indices = torch.arange(batch, device=device), torch.arange(batch, device=device)
    sampler, noise = PUBLISHED_SAMPLERS["titok-l-32"], CounterNoise(0)
    yield (
        "ViT L-32 sampling, tokens only, 8 steps",
        "images",
        batch,
        lambda: decode_tokens(generator, labels, sampler, noise, indices),
    )

    features = torch.randn(2500, 2048, device=device)
    yield "moments of 2048 features", "images", len(features), lambda: Moments(2048, device).update(features)

    root = np.random.Generator(np.random.PCG64(0)).standard_normal((2048, 2048))
    covariance = torch.from_numpy(root @ root.T / 2048)
    mean = torch.zeros(2048, dtype=torch.float64)
    yield (
        "Frechet distance, 2048 features",
        "pairs",
        1,
        lambda: frechet_distance(mean, covariance, mean + 1, covariance),
    )


if __name__ == "__main__":
    main()
