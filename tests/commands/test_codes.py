"""`titok codes` and `titok train stage1 --codes`: the same codes as online, whoever made them, and what is refused.

Run: pytest tests/commands/test_codes.py
"""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from commands.workbench import Workbench, bench_document, command, record, titok
from config.studies import changed

from titok.config.load import load_study
from titok.config.model import VQGANModel
from titok.data.coded_images import CodedImages
from titok.data.images import load_images
from titok.data.rows.store import RowStore
from titok.data.transforms import from_uint8
from titok.models.folder import load_vqgan
from titok.models.vqgan import VQGAN
from titok.runtime.files import sha256_file
from titok.runtime.weights import save_model

VIEWS = {"crops": "five", "mirrored": True, "random_crops": 2}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """The digits, a VQGAN that was never trained, and codes of twelve views of every digit."""
    bench = Workbench(tmp_path_factory.mktemp("codes"))
    document = {**bench_document(), "proxy_codes": {"views": VIEWS, "part_images": 300}}
    document = changed(document, "defaults.tokenizer.stage1.training.random_crop", False)
    document = changed(document, "defaults.tokenizer.stage1.training.steps", 6)
    bench.study_file.write_text(yaml.safe_dump(document, sort_keys=False))
    study = load_study(bench.study_file)
    bench.run("prepare", config=bench.config("data"), output=bench.root / "data")
    assert study.vqgan is not None
    for seed, name in enumerate(("vqgan", "other_vqgan")):
        save_random_vqgan(bench.model(name).parent, study.vqgan.model, seed)
    bench.run("codes", "extract", **inputs(bench), output=bench.root / "train.npy")
    return bench


def save_random_vqgan(folder: Path, settings: VQGANModel, seed: int) -> None:
    """Weights large enough for codes that differ from patch to patch."""
    torch.manual_seed(seed)
    vqgan = VQGAN(settings)
    torch.nn.init.normal_(vqgan.quantize.embedding.weight)
    vqgan.encoder.conv_out.weight.data.mul_(8)
    save_model(folder, vqgan.state_dict(), {"kind": "vqgan", "model": settings.resolved()})


def inputs(bench: Workbench, **changes: object) -> dict[str, object]:
    return {"config": bench.config("codes"), "data": bench.train_data, "vqgan": bench.model("vqgan"), **changes}


@pytest.fixture(scope="module")
def store(bench: Workbench) -> RowStore:
    return RowStore.open(bench.root / "train.npy")


def test_what_is_stored_says_what_it_is(bench: Workbench, store: RowStore) -> None:
    assert store.rows.shape == (1697, 12, 16)
    assert store.facts.network_sha256 == sha256_file(bench.model("vqgan"))
    assert store.facts.views["crops"] == "five"
    assert [(part.first, part.end) for part in store.records][-1] == (1500, 1697)
    assert {part.made_by["batch_size"] for part in store.records} == {32}
    assert store.records[0].made_by["packages"]["torch"]
    assert store.records[0].made_by["libjpeg"]


def test_stored_codes_are_those_computed_online(bench: Workbench, store: RowStore) -> None:
    """The same crop gives the same codes: those of every window of some batches, by the frozen VQGAN of training."""
    vqgan = load_vqgan(bench.model("vqgan"))
    images = load_images(bench.root / "data", "train", 18)
    source = CodedImages(images, 16, store.facts.view_list(), store.rows, 64, seed=1)
    for step in range(4):
        batch = source.batch(step)
        assert torch.equal(vqgan.tokenize(from_uint8(batch.images)).values, batch.codes)
    assert len(batch.codes.unique()) > 8


def test_jobs_make_the_same_bytes(bench: Workbench, store: RowStore, tmp_path: Path) -> None:
    output = tmp_path / "train.npy"
    bench.run("codes", "extract", **inputs(bench), output=output, range="300:900")
    for part in ("3/3", "1/3"):
        bench.run("codes", "extract", **inputs(bench), output=output, part=part, workers=1)
    assert "images 900 to 1199" in bench.refusal("codes", "merge", output)
    assert not output.exists()
    bench.run("codes", "extract", **inputs(bench), output=output, part="2/3")
    bench.run("codes", "merge", output)
    assert output.read_bytes() == store.path.read_bytes()
    assert output.with_suffix(".json").read_bytes() == store.facts_path.read_bytes()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["train.json", "train.npy"]


@pytest.mark.long
def test_a_killed_extraction_repeats_at_most_one_part(bench: Workbench, store: RowStore, tmp_path: Path) -> None:
    output = tmp_path / "train.npy"
    process = titok(*command("codes", "extract", **inputs(bench), output=output))
    deadline = time.monotonic() + 60
    while len(list(tmp_path.rglob("*-*.json"))) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*-*.json")}
    assert len(made) >= 2
    bench.run("codes", "extract", **inputs(bench), output=output, **{"keep-parts": ()})
    assert output.read_bytes() == store.path.read_bytes()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*-*.json")}
    assert made.items() <= kept.items(), "finished parts are not made again"


def test_complete_codes_are_left_alone(bench: Workbench, store: RowStore, capsys: pytest.CaptureFixture[str]) -> None:
    before = store.path.stat().st_mtime_ns
    bench.run("codes", "extract", **inputs(bench), output=store.path)
    assert "complete already" in capsys.readouterr().out
    assert store.path.stat().st_mtime_ns == before
    message = bench.refusal("codes", "extract", **inputs(bench, vqgan=bench.model("other_vqgan")), output=store.path)
    assert "does not fit these settings" in message
    assert "vqgan_sha256" in message


@pytest.mark.long
def test_jobs_with_other_settings_replace_the_array_when_all_are_done(
    bench: Workbench, store: RowStore, tmp_path: Path
) -> None:
    output = tmp_path / "train.npy"
    for path in (store.path, store.facts_path):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    changed = inputs(bench, vqgan=bench.model("other_vqgan"))
    for part in ("1/2", "2/2"):
        bench.run("codes", "extract", **changed, output=output, part=part)
        assert output.read_bytes() == store.path.read_bytes()
    bench.run("codes", "merge", output)
    assert RowStore.open(output).facts.network_sha256 == sha256_file(bench.model("other_vqgan"))


def test_verify_reads_all_and_encodes_some(
    bench: Workbench, store: RowStore, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"data": bench.train_data, "vqgan": bench.model("vqgan")}
    bench.run("codes", "verify", store.path, **files, samples=20, **{"batch-size": 7})
    said = capsys.readouterr().out
    assert "6 parts as written; 20 images encoded again" in said
    message = bench.refusal("codes", "verify", store.path, **{**files, "vqgan": bench.model("other_vqgan")})
    assert "does not fit this VQGAN" in message
    assert "is needed" in bench.refusal("codes", "verify", store.path, **{**files, "vqgan": bench.model("other_vqgan")})
    message = bench.refusal("codes", "verify", store.path, **{**files, "data": bench.test_data})
    assert "but the ids are of images with" in message


def test_verify_finds_codes_of_another_vqgan(bench: Workbench, store: RowStore, tmp_path: Path) -> None:
    """Their file claims to be of this one."""
    output = tmp_path / "train.npy"
    bench.run("codes", "extract", **inputs(bench, vqgan=bench.model("other_vqgan")), output=output)
    document = record(output.with_suffix(".json"))
    document["facts"]["vqgan_sha256"] = store.facts.network_sha256
    output.with_suffix(".json").write_text(json.dumps(document))
    message = bench.refusal("codes", "verify", output, data=bench.train_data, vqgan=bench.model("vqgan"), samples=5)
    assert "of 5 images are not the nearest ones" in message
    assert "extract the codes again" in message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "tf32", "device": "cpu"}, "--precision is tf32, which only CUDA devices have"),
        ({"range": "0:250"}, "begin at a multiple of 300"),
        ({"data": "train-000000.tar"}, "give the index of the shards, <split>.index.npz"),
        ({"output": "train.npz"}, "must end in .npy"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_mistakes_are_told(bench: Workbench, tmp_path: Path, options: dict[str, str], words: str) -> None:
    options = {key: str(tmp_path / value) if key in ("data", "output") else value for key, value in options.items()}
    message = bench.refusal("codes", "extract", **{**inputs(bench), "output": tmp_path / "train.npy", **options})
    assert words in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", ["0/3", "4/3", "x", "1"])
def test_shares_that_do_not_exist_are_refused(
    bench: Workbench, tmp_path: Path, share: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        bench.run("codes", "extract", **inputs(bench), output=tmp_path / "train.npy", part=share)
    assert "write I/N with I from 1 to N" in capsys.readouterr().err


class Stage1:
    """Stage 1 with variations of its settings."""

    def __init__(self, bench: Workbench, folder: Path) -> None:
        self.bench = bench
        self.folder = folder
        self.number = 0

    def options(self, changes: dict[str, Any], **files: object) -> dict[str, object]:
        document = yaml.safe_load(self.bench.config("stage1", "two").read_text())
        for key, value in changes.items():
            document = changed(document, key, value)
        self.number += 1
        config = self.folder / f"{self.number}.yaml"
        config.write_text(yaml.safe_dump(document))
        folder = self.folder / str(self.number)
        paths = {"output": folder / "model.safetensors", "state": folder / "state", "config": config}
        sources = {"data": self.bench.train_data, "vqgan": self.bench.model("vqgan")}
        return {**sources, **paths, "seed": 0, **files}

    def train(self, changes: dict[str, Any], **files: object) -> Path:
        options = self.options(changes, **files)
        self.bench.run("train", "stage1", **options)
        return Path(str(options["output"]))

    def refusal(self, changes: dict[str, Any], **files: object) -> str:
        return self.bench.refusal("train", "stage1", **self.options(changes, **files))


@pytest.fixture
def stage1(bench: Workbench, tmp_path: Path) -> Stage1:
    return Stage1(bench, tmp_path)


CENTRE = {"views": {"crops": "centre"}, "part_images": 1000}


@pytest.fixture(scope="module")
def centre(bench: Workbench) -> Path:
    """Stored codes of the centres."""
    output = bench.root / "centre.npy"
    document = {**yaml.safe_load(bench.config("codes").read_text()), "codes": CENTRE}
    config = bench.root / "centre.yaml"
    config.write_text(yaml.safe_dump(document))
    bench.run("codes", "extract", **inputs(bench, config=config), output=output)
    return output


def test_stage1_learns_the_same_from_stored_codes_as_online(stage1: Stage1, centre: Path) -> None:
    """Centre crops; online they are encoded once (in memory) or at every step (streamed)."""
    stored = sha256_file(stage1.train({"proxy_codes": CENTRE}, codes=centre))
    assert sha256_file(stage1.train({"proxy_codes": None})) == stored
    streamed = {"dataset.in_memory": False}
    assert sha256_file(stage1.train({"proxy_codes": None, **streamed})) == stored
    assert sha256_file(stage1.train({"proxy_codes": CENTRE, **streamed}, codes=centre, workers=1)) == stored


def test_stage1_from_many_views_notes_where_its_codes_are_from(stage1: Stage1, store: RowStore) -> None:
    trained = stage1.train({}, codes=store.path)
    manifest = record(trained.with_name("manifest.json"))
    assert manifest["provenance"]["inputs"]["codes"]["sha256"] == sha256_file(store.facts_path)
    assert manifest["config"]["proxy_codes"]["views"]["random_crops"] == 2
    streamed = stage1.train({"dataset.in_memory": False}, codes=store.path)
    assert sha256_file(streamed) == sha256_file(trained)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"proxy_codes.views.seed": 3}, "views: "),
        ({"proxy_codes.resize": 20}, "resize: 18, but 20 is needed"),
        ({"proxy_codes.resize_rule": "adm"}, "resize_rule: 'official', but 'adm' is needed"),
        ({"training.decoder": "torchvision"}, "decoder: 'pillow', but 'torchvision' is needed"),
    ],
)
def test_codes_of_other_settings_are_refused(
    stage1: Stage1, store: RowStore, change: dict[str, Any], words: str
) -> None:
    message = stage1.refusal(change, codes=store.path)
    assert "does not fit this training" in message
    assert words in message
    assert message.count("is needed") == 1


def test_codes_of_other_images_or_another_vqgan_are_refused(bench: Workbench, stage1: Stage1, store: RowStore) -> None:
    message = stage1.refusal({}, codes=store.path, vqgan=bench.model("other_vqgan"))
    assert "vqgan_sha256: " in message
    data = stage1.folder / "data"
    shutil.copytree(bench.root / "data", data)
    for path in data.glob("test*"):
        shutil.copyfile(path, path.with_name(path.name.replace("test", "train")))
    for path in data.glob("test*"):
        path.unlink()
    (data / "train.index.npz").unlink()
    message = stage1.refusal({}, codes=store.path, data=data / "train.index.npz")
    assert "has no usable index" in message


def test_stored_codes_must_be_given_when_settings_name_them(stage1: Stage1) -> None:
    assert "titok train stage1 needs --codes" in stage1.refusal({})


def test_audit_counts_what_changes(bench: Workbench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "audit.json"
    wanted = ["alone", "bf16", "tf32", "jpeg-100", "jpeg-20", "torchvision"]
    options = {"output": output, "samples": 6, "variants": wanted, "device": "cpu"}
    bench.run("codes", "audit", **inputs(bench), **options)
    report = record(output)
    rows = {row["variant"]: row for row in report["variants"]}
    assert list(rows) == wanted
    assert (report["images"], report["codes_per_image"]) == (6, 12 * 16)
    assert rows["alone"]["changed_codes"]["largest"] < 0.01
    assert rows["alone"]["changed_pixels"] == rows["torchvision"]["changed_pixels"] == 0, "PNG files have one meaning"
    assert rows["torchvision"]["changed_codes"]["largest"] == 0
    assert rows["jpeg-20"]["changed_codes"]["mean"] > 0.1 > rows["jpeg-100"]["changed_codes"]["mean"]
    assert rows["jpeg-20"]["largest_pixel_difference"] > rows["jpeg-100"]["largest_pixel_difference"] >= 1
    assert rows["bf16"]["changed_codes"]["mean"] > 0
    assert rows["tf32"]["skipped"] == "only CUDA devices have TF32"
    for row in rows.values():
        if "skipped" not in row:
            assert np.mean(row["changed_codes_per_image"]) == pytest.approx(row["changed_codes"]["mean"], abs=1e-5)
    said = capsys.readouterr().out
    assert "tf32: skipped, only CUDA devices have TF32" in said
    assert "jpeg-20" in said


def test_unknown_variants_are_refused(bench: Workbench, tmp_path: Path) -> None:
    for name in ("jpeg-0", "jpeg-101", "fp16"):
        message = bench.refusal("codes", "audit", **inputs(bench), output=tmp_path / "audit.json", variants=name)
        assert f"no variant is called {name!r}; allowed: alone, bf16" in message
