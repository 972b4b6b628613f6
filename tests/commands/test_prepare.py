"""`titok prepare` from the command line: at once and step by step, without torch, with messages for people.

Run: pytest tests/commands/test_prepare.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands.workbench import command
from config.studies import ROOT
from data.miniature import Miniature, folder, official, synthetic

from titok.cli import main
from titok.config.data import Preparation
from titok.config.data_jobs import DataJob
from titok.config.load import dump_yaml

WITHOUT_TORCH = """
import sys
sys.modules.update(torch=None, torchvision=None, timm=None, pandas=None, pyarrow=None)
from titok.cli import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def images() -> Miniature:
    return synthetic()


@pytest.fixture
def config(tmp_path: Path, images: Miniature) -> Path:
    """Resolved settings of a miniature of the official archives."""
    return write(tmp_path / "data.yaml", Preparation(**official(tmp_path / "source", images), shard_images=4))


def write(path: Path, dataset: Preparation) -> Path:
    path.write_text(dump_yaml(DataJob(dataset=dataset)))
    return path


def refusal(*words: object, **options: object) -> str:
    with pytest.raises(SystemExit) as caught:
        main(command("prepare", *words, **options))
    return str(caught.value.code)


def test_steps_give_what_one_command_gives_without_torch(config: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-c", WITHOUT_TORCH, *command("prepare", config=config, output=tmp_path / "once", jobs=2)]
    done = subprocess.run(
        line, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == 0, done.stderr
    options = {"config": config, "output": tmp_path / "steps"}
    for split in ("train", "test"):
        main(command("prepare", "plan", split=split, **options))
        for part in (2, 1, 3):
            main(command("prepare", "part", split=split, part=f"{part}/3", **options))
        main(command("prepare", "merge", split=split, **options))
    files = [
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir() if path.is_file()}
        for name in ("once", "steps")
    ]
    assert files[0] == files[1]
    assert {"train.index.npz", "train.manifest.json", "test-000001.tar"} <= files[0].keys()


def test_the_plan_is_told(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(command("prepare", "plan", config=config, output=tmp_path / "out", split="train"))
    said = capsys.readouterr()
    assert said.out == "20 images of 4 classes, for 5 shards\n"
    assert "read ILSVRC2012_img_train.tar: " in said.err


def test_an_interrupted_run_does_not_sum_the_archives_again(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"config": config, "output": tmp_path / "out"}
    main(command("prepare", "plan", split="train", **options))
    capsys.readouterr()
    main(command("prepare", **options))
    said = capsys.readouterr().err
    assert "read ILSVRC2012_img_train.tar" not in said
    assert "read ILSVRC2012_img_val.tar" in said
    assert "prepare train: 20/20 (100 %)" in said


@pytest.mark.parametrize(
    ("words", "options", "said"),
    [
        (["part"], {"split": "train", "part": "3"}, "--part is '3'; write which of how many, e.g. --part 3/16"),
        (["part"], {"split": "train"}, "--part is None"),
        (["plan"], {}, "--split is missing; allowed: train, test"),
        ([], {"split": "train"}, "--split and --part belong to single steps"),
        (["part"], {"split": "train", "part": "1/2"}, "train.plan.json does not exist"),
        (["merge"], {"split": "test"}, "test.plan.json does not exist"),
    ],
)
def test_wrong_commands_are_told(
    config: Path, tmp_path: Path, words: list[str], options: dict[str, str], said: str
) -> None:
    message = refusal(*words, config=config, output=tmp_path / "out", **options)
    assert message.startswith("titok: ")
    assert said in message


def test_digits_have_no_steps(tmp_path: Path) -> None:
    config = write(tmp_path / "digits.yaml", Preparation())
    message = refusal("plan", config=config, output=tmp_path, split="train")
    assert "kind 'digits' is prepared in one step" in message


def test_an_undecodable_image_ends_with_a_message(tmp_path: Path, images: Miniature) -> None:
    source = folder(tmp_path / "source", images)
    bad = min((tmp_path / "source" / "train").rglob("*.JPEG"))
    bad.write_bytes(b"no image")
    config = write(tmp_path / "data.yaml", Preparation(**source))
    message = refusal(config=config, output=tmp_path / "out", jobs=2)
    assert message.startswith("titok: DataError: 1 image(s) of split 'train' cannot be decoded")
    assert bad.name in message


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["prepare", "--help"])
    said = capsys.readouterr().out
    assert "titok prepare part  --config data.yaml --output data --split train --part 3/16" in said
