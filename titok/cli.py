"""``titok VERB``: one verb per rule of the workflow, and verbs on files. Parses and hands over.

The work is in ``titok.commands``. Nothing heavy is imported
before a verb needs it: ``titok resolve`` and ``titok --help`` never load torch.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from titok import __version__
from titok.commands.claims_parser import add_claims
from titok.commands.compare_parser import add_compare
from titok.commands.examples import add_examples
from titok.commands.extraction_verbs import add_code_verbs, add_external_tokens, add_tokens
from titok.commands.file_verbs import add_file_verbs
from titok.commands.launch_parser import add_launch
from titok.commands.option_types import JobKinds, Parser, ending, folder_or, number, weights_name, whole
from titok.commands.outputs import add_overwrite, check_places, model_files, output_and, sample_files
from titok.commands.plan_parser import add_plan
from titok.commands.prepare_parser import add_prepare
from titok.commands.score_parser import add_score
from titok.commands.shared_options import add_device, add_execution, add_paths, add_workers
from titok.config.shipped import shipped
from titok.errors import TitokError
from titok.runtime.arithmetic import asked_for, use

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
  titok compare results/digits other/results/digits --output compare.html
  titok doctor

Each verb's own help has more: titok train --help. Snakemake prints the verb it runs with --printshellcmds.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one verb; mistakes that people can mend end with a plain message and exit status 1."""
    options = build_parser().parse_args(arguments)
    try:
        # Before anything that computes is imported.
        use(asked_for(getattr(options, name, None) for name in ("config", "study")))
        check_places(options)
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        sys.exit(128 + signal.SIGPIPE)
    except KeyboardInterrupt:
        sys.stderr.write("titok: stopped by Ctrl-C\n")
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        # Our own exceptions are written for people; anything else is a bug and keeps its traceback.
        if not isinstance(error, TitokError):
            raise
        notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
        sys.exit(f"titok: {type(error).__name__}: {error}{notes}")


def _nobody_reads() -> bool:
    """Whether the reader of standard output has gone, as in `titok schema | head -1`, which is no mistake."""
    poll = select.poll()
    with contextlib.suppress(OSError):  # not every standard output is a file
        poll.register(sys.stdout.fileno(), select.POLLOUT)
    is_broken = any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    if is_broken:  # What is still to be written goes nowhere, else Python would complain once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return is_broken


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    return _parser_for(Path.cwd())


@functools.cache
def _parser_for(folder: Path) -> argparse.ArgumentParser:
    """Built once for a working folder, which decides where the project's own files are that defaults name: it takes as
    long as many verbs, and `titok launch` needs it twice."""
    parser: argparse.ArgumentParser = Parser(
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
    add_score(verbs, _lazy)
    _add_report_verbs(verbs)
    add_claims(verbs, _lazy)
    add_compare(verbs, _lazy)
    add_code_verbs(verbs, _lazy)
    add_file_verbs(verbs, _lazy)
    add_examples(parser)
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
    add_overwrite(resolve, output_and(), ours="resolved")
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

    add_tokens(verbs, _lazy)
    add_external_tokens(verbs, _lazy)

    parity = verbs.add_parser(
        "parity",
        help="compare a faster decoder's pixels with Pillow's, in grey levels of 255",
        description="Compares a faster decoder's pixels with Pillow's, the official ones; to be read before a study's "
        "`training.decoder` names it.",
        epilog="example: titok parity --data results/imagenet256/data/train.index.npz --output parity.json",
    )
    add_paths(parity, data="index of the shards", output="report (.json) to write")
    parity.add_argument("--decoder", choices=("torchvision",), default="torchvision", help="the faster one")
    parity.add_argument("--resize", type=whole(), default=256, help="pixels of the shorter edge (default: %(default)s)")
    parity.add_argument("--crop", type=whole(), default=256, help="side of the centre crop (default: %(default)s)")
    parity.add_argument("--images", type=whole(), default=256, help="how many to compare (default: %(default)s)")
    add_workers(parity)
    add_overwrite(parity, output_and())
    parity.set_defaults(run=_lazy("tokens", "parity"))


def _add_train(verbs: Verbs) -> None:
    train = verbs.add_parser(
        "train",
        help="train a classifier, VQGAN, tokenizer stage or generator",
        description="Trains one thing. Stopped by Ctrl-C or a signal it saves and the same command continues; "
        "a finished run is only exported again. Several processes: torchrun --nproc-per-node 4 -m titok train ...",
    )
    train.add_argument(
        "task",
        choices=JobKinds("TRAININGS"),
        metavar="KIND",
        help="what to train, which --config must be of, too: %(choices)s",
    )
    add_paths(train, config="resolved settings of this run")
    train.add_argument("--output", type=weights_name, required=True, help="FOLDER/model.safetensors to write")
    add_overwrite(train, model_files("metrics.jsonl", "manifest.json"), ours="training", folders=["state"])
    train.add_argument("--state", type=Path, required=True, help="folder for checkpoints and the running log")
    train.add_argument("--seed", type=int, required=True, help="of first weights, batches, crops, masks, dropout")
    train.add_argument("--data", type=Path, help="index of the training shards (all tasks but generator)")
    train.add_argument(
        "--stage-to",
        metavar="FOLDER",
        help="folder on a disk of this machine, e.g. $TMPDIR, to which images that do not stay in memory are copied "
        "first; a copy that is there is used again",
    )
    train.add_argument("--tokens", type=Path, help="token file (generator)")
    train.add_argument("--vqgan", type=Path, help="model file of the proxy VQGAN (stage1)")
    train.add_argument("--codes", type=Path, help="stored proxy codes (.npy) of the images' views (stage1)")
    train.add_argument("--init", type=Path, help="model file of stage 1 (stage2)")
    train.add_argument("--encoder", type=Path, help="model file of the study whose encoder is frozen (soft_decoder)")
    train.add_argument("--critic", type=Path, help="model file of the perceptual classifier, where the losses name one")
    train.add_argument("--test", type=Path, help="index of the test shards, where the settings have milestone scores")
    train.add_argument("--judge", type=Path, help="classifier behind milestone scores, where the settings name one")
    train.add_argument("--tensorboard", action="store_true", help="TensorBoard events at once, not after a minute")
    train.add_argument(
        "--process-timeout",
        type=number(0, above=True),
        metavar="SECONDS",
        help="how long several processes (torchrun) wait for a silent one (default: 600; 7200 while one scores "
        "milestones or copies images)",
    )
    add_execution(train)
    add_device(train)
    add_workers(train)
    train.set_defaults(run=_lazy("train", "train_task"))

    adopt = verbs.add_parser(
        "adopt",
        help="take released weights where a study would train",
        description="Opens released weights (downloading them if need be), checks their sum and that they are the "
        "model that the settings describe, and writes them as a model folder of the study.",
    )
    adopt.add_argument("kind", choices=JobKinds("ADOPTED"), metavar="KIND", help="of what: %(choices)s")
    add_paths(adopt, config="resolved settings: source and model")
    adopt.add_argument("--output", type=weights_name, required=True, help="FOLDER/model.safetensors to write")
    add_overwrite(adopt, model_files("manifest.json"), ours="adopted")
    adopt.set_defaults(run=_lazy("adopt", "adopt"))


def _add_sample(verbs: Verbs) -> None:
    sample = verbs.add_parser("sample", help="generate class-conditional images and time it")
    add_paths(sample, config="resolved sampler", generator="its model file")
    sample.add_argument("--tokenizer", type=Path, help="its model file; without it ids are written, and no images")
    sample.add_argument(
        "--output",
        type=folder_or(".npz"),
        required=True,
        help="sample file (.npz) to write, or a folder for parts of 128 MiB and their index.json; facts about it go "
        "beside it as .json. Stopped, the same command goes on",
    )
    sample.add_argument("--seed", type=int, required=True, help="of the noise, with each sample's number")
    add_execution(sample)
    add_device(sample)
    add_overwrite(sample, sample_files, ours="samples")
    sample.set_defaults(run=_lazy("sample", "sample"))


def _add_report_verbs(verbs: Verbs) -> None:
    table = verbs.add_parser("table", help="make one of the paper's tables from scores")
    figure = verbs.add_parser("figure", help="draw one figure from scores, logs or images")
    checks = verbs.add_parser("checks", help="judge whether a study's models work, and the paper's trends")
    report = verbs.add_parser("report", help="write the HTML page")
    verdict = verbs.add_parser("verdict", help="fail if a working check failed, naming it")
    for parser, function, endings in (
        (table, "table", (".csv", ".md", ".tex")),
        (figure, "figure", (".svg", ".png", ".csv")),
        (checks, "checks", (".json", ".md")),
        (report, "report", (".html", ".htm")),
    ):
        parser.add_argument("--study", type=Path, required=True, help="e.g. config/digits.yaml")
        parser.add_argument("--scores", type=Path, nargs="*", default=[], help="score records")
        named = endings[:1] if function == "checks" else endings
        parser.add_argument("--output", type=ending(*named), required=True, help=f"to write: {', '.join(endings)}")
        if function == "report":
            add_overwrite(parser, output_and(), ours="page")
        else:
            add_overwrite(parser, output_and(*endings), ours="written_together")
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
    crate.add_argument("--output", type=ending(".zip"), required=True, help="zip file to write")
    add_overwrite(crate, output_and(), ours="crate")
    crate.add_argument("--with-models", action="store_true", help="also every model's weights")
    crate.set_defaults(run=_lazy("report", "crate"))
    verdict.add_argument("checks", type=Path, help="checks.json")
    verdict.add_argument("--strict", action="store_true", help="fail also if a trend of the paper does not hold")
    verdict.set_defaults(run=_lazy("report", "verdict"))
