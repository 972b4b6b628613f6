"""`titok prepare | tokens`, also on a full disk and from a truncated shard.

Run: pytest tests/commands/test_tokens.py
"""

from __future__ import annotations

import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands.workbench import Workbench, command, titok

from titok.commands import tokens
from titok.data.images import load_images
from titok.data.shards import ShardError
from titok.data.tokens import load_tokens
from titok.runtime.files import sha256_file


def test_prepare_splits_all_digits(bench: Workbench) -> None:
    train, test = (load_images(bench.root / "data", split, 18) for split in ("train", "test"))
    assert (len(train), len(test)) == (1697, 100)
    assert not set(train.keys) & set(test.keys)
    assert np.bincount(test.labels).min() >= 9


def test_prepare_twice_gives_the_same_bytes(bench: Workbench, tmp_path: Path) -> None:
    bench.run("prepare", config=bench.config("data"), output=tmp_path)
    for path in sorted((bench.root / "data").iterdir()):
        assert sha256_file(tmp_path / path.name) == sha256_file(path), path.name


def test_tokens_of_every_view(bench: Workbench) -> None:
    tokens = load_tokens(bench.root / "tokens.npz")
    assert tuple(tokens.tokens.shape) == (1697, 2, 2)
    assert int(tokens.tokens.max()) < 16
    assert tokens.source["tokenizer_sha256"] == sha256_file(bench.model("two"))


def test_tokens_do_not_depend_on_the_run(bench: Workbench, tmp_path: Path) -> None:
    again = tmp_path / "tokens.npz"
    options = {"data": bench.train_data, "tokenizer": bench.model("two"), "output": again}
    bench.run("tokens", config=bench.config("tokens"), **options)
    assert sha256_file(again) == sha256_file(bench.root / "tokens.npz")


def test_jobs_make_the_same_tokens(
    bench: Workbench, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "PART_IMAGES", 512)
    output = tmp_path / "tokens.npz"
    options = {"config": bench.config("tokens"), "data": bench.train_data, "tokenizer": bench.model("two")}
    bench.run("tokens", **options, output=output, part="2/2")
    bench.run("tokens", **options, output=output, range="0:512", workers=1)
    assert "1 of 4 parts; when all are there, run it without --part" in capsys.readouterr().out
    assert not output.exists()
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*-*.npy")}
    assert len(made) == 3
    assert "images 0 to 100 are no whole parts" in bench.refusal("tokens", **options, output=output, range="0:100")
    bench.run("tokens", **options, output=output)
    assert sha256_file(output) == sha256_file(bench.root / "tokens.npz")
    assert list(tmp_path.iterdir()) == [output]


def test_what_an_earlier_version_began_is_refused(bench: Workbench, tmp_path: Path) -> None:
    (tmp_path / "tokens.rows").write_bytes(b"1234")
    options = {"config": bench.config("tokens"), "data": bench.train_data, "tokenizer": bench.model("two")}
    message = bench.refusal("tokens", **options, output=tmp_path / "tokens.npz")
    assert "tokens.rows holds tokens that an earlier version began" in message
    assert "delete it and tokens.json" in message


def test_a_truncated_shard_is_named_and_nothing_is_written(bench: Workbench, tmp_path: Path) -> None:
    shutil.copytree(bench.root / "data", tmp_path / "data")
    shard = tmp_path / "data" / "train-000000.tar"
    with shard.open("r+b") as stream:
        stream.truncate(shard.stat().st_size // 2)
    output = tmp_path / "tokens.npz"
    options = {"config": bench.config("tokens"), "tokenizer": bench.model("two"), "output": output}
    message = bench.refusal("tokens", data=tmp_path / "data" / "train.index.npz", **options)
    assert message.startswith("titok: ShardError: ")
    assert str(shard) in message
    assert "bytes expected" in message
    assert "prepare the dataset again" in message
    assert not output.exists()


def test_an_altered_sample_is_named(bench: Workbench, tmp_path: Path) -> None:
    shutil.copytree(bench.root / "data", tmp_path / "data")
    shard = tmp_path / "data" / "test-000000.tar"
    content = bytearray(shard.read_bytes())
    content[content.index(b"IDAT") + 20] ^= 1
    shard.write_bytes(content)
    with pytest.raises(ShardError, match=r"test-000000\.tar.*digit-\d+"):
        load_images(tmp_path / "data", "test", 18)


def test_a_full_disk_leaves_no_half_shard(bench: Workbench, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: both end a write in the middle."""
    line = command("prepare", config=bench.config("data"), output=tmp_path / "data")
    limit = 200_000

    def restrict() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = titok(*line, preexec_fn=restrict)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert "titok: FileError: cannot write" in said
    assert "Make room and run the step again" in said
    assert list((tmp_path / "data").iterdir()) == []
    bench.run(*line)
    assert len(load_images(tmp_path / "data", "train", 18)) == 1697
