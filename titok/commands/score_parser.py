"""The command lines of ``titok score``. Loads no torch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from titok.commands.option_types import ending, whole
from titok.commands.outputs import add_overwrite, output_and, paths_of
from titok.commands.shared_options import add_device, add_execution, add_paths, add_subject, add_workers

if TYPE_CHECKING:
    from titok.commands.file_verbs import Lazy, Verbs


def add_score(verbs: Verbs, lazy: Lazy) -> None:
    """Adds ``score`` with its ten kinds, in the order in which its help shows them."""
    score = verbs.add_parser("score", help="measure reconstructions, samples or latents")
    kinds = score.add_subparsers(title="what", metavar="WHAT", required=True)
    reconstruction, lengths, probe = (
        _add_reconstruction(kinds, lazy),
        _add_lengths(kinds, lazy),
        _add_probe(kinds, lazy),
    )
    quantized, codec = _add_quantized(kinds, lazy), _add_codec(kinds, lazy)
    external, floor, generation = _add_external(kinds, lazy), _add_floor(kinds, lazy), _add_generation(kinds, lazy)
    _add_throughput(kinds, lazy)
    _add_costs(kinds, lazy)
    for kind in (reconstruction, lengths, probe, quantized, codec, external, floor, generation):
        add_paths(kind, config="resolved settings of the scores", output="score record (.json) to write")
        add_execution(kind)
        add_device(kind)
        add_workers(kind)
    for kind in (reconstruction, external, floor):
        kind.add_argument("--examples", type=ending(".npz"), help="file (.npz) for some originals and reconstructions")
    for kind in (reconstruction, lengths, quantized, codec, external, floor):
        kind.add_argument("--per-image", type=ending(".csv"), help="file (.csv) for the measures of every image")
    for kind in (reconstruction, external, floor):
        add_overwrite(kind, paths_of("output", "examples", "per_image"), ours="score")
    add_overwrite(lengths, paths_of("output", "pictures", "per_image"), ours="score")
    for kind in (quantized, codec):
        add_overwrite(kind, paths_of("output", "per_image"), ours="score")
    add_overwrite(probe, output_and(), ours="score", folders=["state"])
    add_overwrite(generation, output_and(), ours="score")
    for kind in (reconstruction, lengths, probe, quantized, floor):
        add_subject(kind, "tokenizer")
    add_subject(generation, "generator")
    for kind in (reconstruction, lengths, quantized, codec, external, floor, generation):
        kind.add_argument("--judge", type=Path, help="model file of the classifier that the settings name")


def _add_reconstruction(kinds: Verbs, lazy: Lazy) -> argparse.ArgumentParser:
    reconstruction = kinds.add_parser("reconstruction", help="rFID, PSNR, SSIM, codebook use of a tokenizer")
    add_paths(reconstruction, data="index of the test shards", model="model file of the tokenizer or VQGAN")
    reconstruction.set_defaults(run=lazy("score", "reconstruction"))
    return reconstruction


def _add_lengths(kinds: Verbs, lazy: Lazy) -> argparse.ArgumentParser:
    lengths = kinds.add_parser("lengths", help="rFID, PSNR and more at every length, and which length each image needs")
    add_paths(lengths, data="index of the test shards", model="model file of the tokenizer")
    lengths.add_argument(
        "--beside",
        type=ending(".csv"),
        nargs="*",
        default=[],
        help="what --per-image wrote of tokenizers of one length",
    )
    lengths.add_argument(
        "--pictures", type=ending(".npz"), help="file (.npz) for the images of the fewest and the most tokens"
    )
    lengths.set_defaults(run=lazy("score_lengths", "lengths"))
    return lengths


def _add_probe(kinds: Verbs, lazy: Lazy) -> argparse.ArgumentParser:
    probe = kinds.add_parser("probe", help="accuracy of a linear classifier on frozen latents")
    add_paths(probe, train="index of the training shards", test="index of the test shards", model="tokenizer")
    probe.add_argument("--state", type=Path, required=True, help="folder for the probe's training state")
    probe.set_defaults(run=lazy("score_probe", "linear_probe"))
    return probe


def _add_quantized(kinds: Verbs, lazy: Lazy) -> argparse.ArgumentParser:
    quantized = kinds.add_parser("quantized", help="the same of soft tokens whose channels are rounded to few bits")
    quantized.add_argument("--bits", type=whole(1, 8), required=True, help="of a channel, 1 to 8")
    add_paths(quantized, data="index of the test shards", train="index of the training shards, for ranges of channels")
    add_paths(quantized, model="model file of a tokenizer without a codebook")
    quantized.set_defaults(run=lazy("score_quantized", "quantized_tokens"))
    return quantized


def _add_codec(kinds: Verbs, lazy: Lazy) -> argparse.ArgumentParser:
    codec = kinds.add_parser("codec", help="the same of JPEG or WebP at a quality, and the bits they take")
    codec.add_argument("--codec", choices=("jpeg", "webp"), required=True, help="how images are written and read")
    codec.add_argument("--quality", type=whole(1, 100), required=True, help="1 to 100")
    add_paths(codec, data="index of the test shards")
    codec.set_defaults(run=lazy("score", "codec"))
    return codec


def _add_external(kinds: Verbs, lazy: Lazy) -> argparse.ArgumentParser:
    external = kinds.add_parser("external", help="the same of reconstructions that another program made")
    add_paths(
        external,
        data="index of the test shards",
        reconstructions="folder of pictures called like their images, or .npz (arr_0) in their order",
    )
    external.set_defaults(run=lazy("score_external", "external"))
    return external


def _add_floor(kinds: Verbs, lazy: Lazy) -> argparse.ArgumentParser:
    floor = kinds.add_parser("floor", help="the same of mean patches, or of regions of one colour")
    add_paths(floor, data="index of the test shards")
    floor.add_argument("--train", type=Path, help="index of the training shards, whose patches are averaged")
    floor.set_defaults(run=lazy("score_floor", "floor"))
    return floor


def _add_generation(kinds: Verbs, lazy: Lazy) -> argparse.ArgumentParser:
    generation = kinds.add_parser("generation", help="gFID, inception score, precision and recall of samples")
    add_paths(generation, samples="sample file (.npz), or a folder of parts")
    generation.add_argument(
        "--ids",
        type=Path,
        help="ids (.npz) that another program's decoder made them of, which the file repeats",
    )
    generation.add_argument("--data", type=Path, help="index of the training shards, unless a reference file is named")
    generation.add_argument(
        "--training", type=Path, help="manifest.json of the generator's training, where it is known"
    )
    generation.set_defaults(run=lazy("score", "generation"))
    return generation


def _add_throughput(kinds: Verbs, lazy: Lazy) -> None:
    throughput = kinds.add_parser("throughput", help="images per second of one device, and operations per image")
    add_paths(throughput, generator="its model file", tokenizer="its model file")
    add_paths(throughput, config="resolved settings: sampler and throughput", output="score record (.json) to write")
    add_overwrite(throughput, output_and(), ours="score")
    add_subject(throughput, "generator")
    add_device(throughput)
    throughput.set_defaults(run=lazy("score_throughput", "throughput"))


def _add_costs(kinds: Verbs, lazy: Lazy) -> None:
    costs = kinds.add_parser("costs", help="parameters, operations, speed and memory of a tokenizer")
    add_paths(
        costs, model="its model file", config="resolved settings: throughput", output="score record (.json) to write"
    )
    add_overwrite(costs, output_and(), ours="score")
    add_subject(costs, "tokenizer")
    add_device(costs)
    costs.set_defaults(run=lazy("score_costs", "costs"))
