"""``titok VERB``: one verb per rule of the workflow, and verbs on files. Parses and hands over.

The work is in ``titok.commands``. Nothing heavy is imported
before a verb needs it: ``titok resolve`` and ``titok --help`` never load torch.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from titok import __version__
from titok.commands.claims_parser import add_claims
from titok.commands.code_verbs import add_code_verbs
from titok.commands.file_verbs import add_file_verbs
from titok.commands.launch_parser import add_launch
from titok.commands.plan_parser import add_plan
from titok.commands.prepare_parser import add_prepare
from titok.config.shipped import shipped

if TYPE_CHECKING:
    Verbs: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = """\
examples:
  titok check config/digits.yaml
  titok resolve config/digits.yaml stage1 l2
  titok prepare --config results/digits/configs/data/all.yaml --output results/digits/data
  titok train stage1 --config results/digits/configs/stage1/l2.yaml --data results/digits/data/train.index.npz \\
      --vqgan results/digits/vqgan/model.safetensors --seed 0 --state /tmp/state --output /tmp/l2/model.safetensors
  titok reconstruct photo.jpg --model tokenizer_titok_l32 --output reconstructions
  titok doctor

Each verb's own help has more: titok train --help. Snakemake prints the verb it runs with --printshellcmds.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one verb; mistakes that people can mend end with a plain message and exit status 1."""
    options = build_parser().parse_args(arguments)
    try:
        options.run(options)
    except Exception as error:
        # Our own exceptions are written for people; anything else is a bug and keeps its traceback.
        if not type(error).__module__.startswith("titok."):
            raise
        notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
        sys.exit(f"titok: {type(error).__name__}: {error}{notes}")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="titok",
        description="TiTok from a dataset to the paper's tables, one step at a time.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"titok {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    _add_study_verbs(verbs)
    _add_data_verbs(verbs)
    _add_train(verbs)
    add_launch(verbs, _lazy)
    _add_sample(verbs)
    _add_score(verbs)
    _add_report_verbs(verbs)
    add_claims(verbs, _lazy)
    add_code_verbs(verbs, _lazy)
    add_file_verbs(verbs, _lazy)
    return parser


def _lazy(module: str, function: str) -> Callable[[argparse.Namespace], None]:
    """A command that is imported when it is run."""
    return lambda options: getattr(import_module(f"titok.commands.{module}"), function)(options)


def _add_study_verbs(verbs: Verbs) -> None:
    check = verbs.add_parser("check", help="read a study and report every mistake in it")
    check.add_argument("study", type=Path, help="e.g. config/digits.yaml")
    check.set_defaults(run=_lazy("study", "check"))

    resolve = verbs.add_parser("resolve", help="write every setting of one job of a study, defaults included")
    resolve.add_argument("study", type=Path, help="e.g. config/digits.yaml")
    resolve.add_argument("kind", help="data, classifier, vqgan, stage1, stage2, single_stage, tokens, generator, ...")
    resolve.add_argument("name", help="which one, `all` where there is only one")
    resolve.add_argument("--output", type=Path, help="file to write (default: print)")
    resolve.set_defaults(run=_lazy("study", "resolve"))

    add_plan(verbs, _lazy("plan", "plan"))

    status = verbs.add_parser(
        "status",
        help="what of a study is done, running and next, and how long it takes",
        description="Reads a results folder, also while the workflow runs, on this machine or on a cluster.",
        epilog="example: watch -n 30 titok status results/digits",
    )
    status.add_argument("results", type=Path, help="e.g. results/digits")
    status.add_argument("--target", default="all", help="what is wanted, e.g. table3b (default: everything)")
    status.set_defaults(run=_lazy("status", "status"))

    schema = verbs.add_parser("schema", help="print the JSON schema of studies")
    schema.set_defaults(run=_lazy("study", "schema"))


def _add_data_verbs(verbs: Verbs) -> None:
    add_prepare(verbs, _lazy("prepare", "run"))

    tokens = verbs.add_parser("tokens", help="turn a dataset's images into token ids")
    _add_paths(tokens, config="resolved settings", data="index of the training shards", tokenizer="its model file")
    _add_paths(tokens, output="token file (.npz) to write")
    _add_device(tokens)
    _add_workers(tokens)
    tokens.set_defaults(run=_lazy("data", "extract_tokens"))

    parity = verbs.add_parser(
        "parity",
        help="compare a faster decoder's pixels with Pillow's, in grey levels of 255",
        description="Compares a faster decoder's pixels with Pillow's, the official ones; to be read before a study's "
        "`training.decoder` names it.",
        epilog="example: titok parity --data results/imagenet256/data/train.index.npz --output parity.json",
    )
    _add_paths(parity, data="index of the shards", output="report (.json) to write")
    parity.add_argument("--split", default="train", help="split of the index (default: %(default)s)")
    parity.add_argument("--decoder", choices=("torchvision",), default="torchvision")
    parity.add_argument("--resize", type=int, default=256, help="pixels of the shorter edge (default: %(default)s)")
    parity.add_argument("--crop", type=int, default=256, help="side of the centre crop (default: %(default)s)")
    parity.add_argument("--images", type=int, default=256, help="how many to compare (default: %(default)s)")
    _add_workers(parity)
    parity.set_defaults(run=_lazy("data", "parity"))


def _add_train(verbs: Verbs) -> None:
    train = verbs.add_parser(
        "train",
        help="train a classifier, VQGAN, tokenizer stage or generator",
        description="Trains one thing. Stopped by Ctrl-C or a signal it saves and the same command continues; "
        "a finished run is only exported again. Several processes: torchrun --nproc-per-node 4 -m titok train ...",
    )
    train.add_argument("task", choices=("classifier", "vqgan", "stage1", "stage2", "single_stage", "generator"))
    _add_paths(train, config="resolved settings of this run", output="model.safetensors to write")
    train.add_argument("--state", type=Path, required=True, help="folder for checkpoints and the running log")
    train.add_argument("--seed", type=int, required=True)
    train.add_argument("--data", type=Path, help="index of the training shards (all tasks but generator)")
    train.add_argument("--tokens", type=Path, help="token file (generator)")
    train.add_argument("--vqgan", type=Path, help="model file of the proxy VQGAN (stage1)")
    train.add_argument("--codes", type=Path, help="stored proxy codes (.npy) of the images' views (stage1)")
    train.add_argument("--init", type=Path, help="model file of stage 1 (stage2)")
    train.add_argument("--critic", type=Path, help="model file of the perceptual classifier, where the losses name one")
    train.add_argument("--test", type=Path, help="index of the test shards, where the settings have milestone scores")
    train.add_argument("--judge", type=Path, help="classifier behind milestone scores, where the settings name one")
    train.add_argument("--tensorboard", action="store_true", help="TensorBoard events at once, not after a minute")
    train.add_argument(
        "--process-timeout",
        type=float,
        metavar="SECONDS",
        help="how long several processes (torchrun) wait for a silent one (default: 600; 7200 while one scores "
        "milestones)",
    )
    _add_execution(train)
    _add_device(train)
    _add_workers(train)
    train.set_defaults(run=_lazy("train", "train_task"))

    adopt = verbs.add_parser(
        "adopt",
        help="take released weights where a study would train",
        description="Opens released weights (downloading them if need be), checks their sum and that they are the "
        "model that the settings describe, and writes them as a model folder of the study.",
    )
    adopt.add_argument("kind", choices=("tokenizer", "generator", "vqgan"))
    _add_paths(adopt, config="resolved settings: source and model", output="model.safetensors to write")
    adopt.set_defaults(run=_lazy("adopt", "adopt"))


def _add_sample(verbs: Verbs) -> None:
    sample = verbs.add_parser("sample", help="generate class-conditional images and time it")
    _add_paths(sample, config="resolved sampler", generator="its model file", tokenizer="its model file")
    sample.add_argument(
        "--output",
        type=Path,
        required=True,
        help="sample file (.npz) to write, or a folder for parts of 128 MiB and their index.json; facts about it go "
        "beside it as .json. Stopped, the same command goes on",
    )
    sample.add_argument("--seed", type=int, required=True)
    _add_execution(sample)
    _add_device(sample)
    sample.set_defaults(run=_lazy("sample", "sample"))


def _add_score(verbs: Verbs) -> None:
    score = verbs.add_parser("score", help="measure reconstructions, samples or latents")
    kinds = score.add_subparsers(title="what", metavar="WHAT", required=True)

    reconstruction = kinds.add_parser("reconstruction", help="rFID, PSNR, SSIM, codebook use of a tokenizer")
    _add_paths(reconstruction, data="index of the test shards", model="model file of the tokenizer or VQGAN")
    reconstruction.add_argument("--examples", type=Path, help="file (.npz) for some originals and reconstructions")
    reconstruction.set_defaults(run=_lazy("score", "reconstruction"))

    probe = kinds.add_parser("probe", help="accuracy of a linear classifier on frozen latents")
    _add_paths(probe, train="index of the training shards", test="index of the test shards", model="tokenizer")
    probe.add_argument("--state", type=Path, required=True, help="folder for the probe's training state")
    probe.set_defaults(run=_lazy("score_probe", "linear_probe"))

    codec = kinds.add_parser("codec", help="the same of JPEG or WebP at a quality, and the bits they take")
    codec.add_argument("--codec", choices=("jpeg", "webp"), required=True)
    codec.add_argument("--quality", type=int, required=True, help="1 to 100")
    _add_paths(codec, data="index of the test shards")
    codec.set_defaults(run=_lazy("score", "codec"))

    generation = kinds.add_parser("generation", help="gFID, inception score, precision and recall of samples")
    _add_paths(generation, samples="sample file (.npz), or a folder of parts")
    generation.add_argument("--data", type=Path, help="index of the training shards, unless a reference file is named")
    _add_paths(generation, training="manifest.json of the generator's training")
    generation.set_defaults(run=_lazy("score", "generation"))

    throughput = kinds.add_parser("throughput", help="images per second of one device, and operations per image")
    _add_paths(throughput, generator="its model file", tokenizer="its model file")
    _add_paths(throughput, config="resolved settings: sampler and throughput", output="score record (.json) to write")
    throughput.add_argument("--subject", type=json.loads, required=True, help="what is timed: names and seed, as JSON")
    _add_device(throughput)
    throughput.set_defaults(run=_lazy("score_throughput", "throughput"))

    for kind in (reconstruction, probe, codec, generation):
        _add_paths(kind, config="resolved settings of the scores", output="score record (.json) to write")
        _add_execution(kind)
        _add_device(kind)
        _add_workers(kind)
    for kind in (reconstruction, probe, generation):
        kind.add_argument("--subject", type=json.loads, required=True, help="what is scored: names and seed, as JSON")
    for kind in (reconstruction, codec, generation):
        kind.add_argument("--judge", type=Path, help="model file of the classifier that the settings name")


def _add_report_verbs(verbs: Verbs) -> None:
    table = verbs.add_parser("table", help="make one of the paper's tables from scores")
    figure = verbs.add_parser("figure", help="draw one figure from scores, logs or images")
    checks = verbs.add_parser("checks", help="judge the properties that a study promises")
    report = verbs.add_parser("report", help="write the HTML page")
    verdict = verbs.add_parser("verdict", help="fail if a check failed, naming it")
    for parser, function in ((table, "table"), (figure, "figure"), (checks, "checks"), (report, "report")):
        parser.add_argument("--study", type=Path, required=True, help="e.g. config/digits.yaml")
        parser.add_argument("--scores", type=Path, nargs="*", default=[], help="score records")
        parser.add_argument("--output", type=Path, required=True, help="file to write; its siblings get other endings")
        parser.set_defaults(run=_lazy("report", function))
    for parser in (table, figure):
        parser.add_argument("name", help="e.g. table1, figure4")
    for parser in (table, figure, report):
        parser.add_argument("--paper", type=Path, default=shipped("config/paper.csv"), help="the published numbers")
    figure.add_argument("--logs", type=Path, nargs="*", default=[], help="training logs, for training_curves")
    figure.add_argument("--images", type=Path, nargs="*", default=[], help="example or sample files, for image grids")
    report.add_argument("--tables", type=Path, nargs="*", default=[], help="tables (.csv)")
    report.add_argument("--figures", type=Path, nargs="*", default=[], help="figures (.svg)")
    report.add_argument("--manifests", type=Path, nargs="*", default=[], help="manifest.json of every training")
    report.add_argument("--checks", type=Path, help="checks.json")
    report.add_argument("--claims", type=Path, help="claims.json")
    crate = verbs.add_parser("crate", help="pack a finished study as an RO-Crate (.zip) for an archive")
    crate.add_argument("--study", type=Path, required=True, help="e.g. config/digits.yaml")
    crate.add_argument("--output", type=Path, required=True, help="zip file to write")
    crate.add_argument("--with-models", action="store_true", help="also every model's weights")
    crate.set_defaults(run=_lazy("report", "crate"))
    verdict.add_argument("checks", type=Path, help="checks.json")
    verdict.set_defaults(run=_lazy("report", "verdict"))


def _add_paths(parser: argparse.ArgumentParser, **paths: str) -> None:
    """Required path options, `name="what it is"`."""
    for name, description in paths.items():
        parser.add_argument(f"--{name}", type=Path, required=True, help=description)


def _add_execution(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--execution",
        type=json.loads,
        help="settings that decide no result, as JSON, over those of --config: how many images at once, how often to "
        "save, where weights lie",
    )


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:<index> (default: %(default)s)")


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        help="processes that read and decode images; 0 reads in this one. Results do not depend on it "
        "(default: %(default)s)",
    )
