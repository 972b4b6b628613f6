"""`titok sample`: ADM's file layout, labels, and independence of batch size.

Run: pytest tests/commands/test_sample.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from commands.workbench import Workbench, record

from titok.runtime.files import load_npz, sha256_file


def test_samples_lie_as_adm_expects_them(bench: Workbench) -> None:
    samples = load_npz(bench.root / "samples.npz")
    assert samples["arr_0"].shape == (80, 16, 16, 3)
    assert samples["arr_0"].dtype == np.uint8
    assert np.bincount(samples["labels"]).tolist() == [8] * 10
    assert samples["index"].tolist() == list(range(80))


def test_facts_lie_beside_them(bench: Workbench) -> None:
    facts = record(bench.root / "samples.json")
    assert facts["protocol"]["sampler"]["num_steps"] == 2
    assert facts["protocol"]["num_samples"] == 80
    assert facts["images_per_second"] > 0
    inputs = facts["provenance"]["inputs"]
    assert {name: entry["sha256"] for name, entry in inputs.items()} == {
        "generator": sha256_file(bench.model("g")),
        "tokenizer": sha256_file(bench.model("two")),
    }


def _sample(bench: Workbench, output: Path, batch_size: int, seed: int) -> np.ndarray:
    settings = yaml.safe_load(bench.config("sample", "two-steps").read_text()) | {"batch_size": batch_size}
    config = output.with_suffix(".yaml")
    config.write_text(yaml.safe_dump(settings))
    models = {"generator": bench.model("g"), "tokenizer": bench.model("two")}
    bench.run("sample", config=config, seed=seed, output=output, **models)
    return load_npz(output)["arr_0"]


def test_the_batch_size_changes_no_sample_and_the_seed_changes_them_all(bench: Workbench, tmp_path: Path) -> None:
    expected = load_npz(bench.root / "samples.npz")["arr_0"]
    found = _sample(bench, tmp_path / "batches.npz", batch_size=7, seed=0).astype(int)
    # Other batch shapes round differently in the last bit, which may move a pixel by one.
    assert np.abs(found - expected).max() <= 1
    assert not np.array_equal(_sample(bench, tmp_path / "seed.npz", batch_size=50, seed=1), expected)


def test_a_folder_of_parts_holds_the_same_samples_and_is_scored_alike(bench: Workbench, tmp_path: Path) -> None:
    output = tmp_path / "samples"
    models = {"generator": bench.model("g"), "tokenizer": bench.model("two")}
    bench.run("sample", config=bench.config("sample", "two-steps"), seed=0, output=output, **models)
    assert record(output / "index.json")["num_samples"] == 80
    expected = load_npz(bench.root / "samples.npz")["arr_0"]
    np.testing.assert_array_equal(load_npz(output / "part-000000.npz")["arr_0"], expected)
    options = {
        "config": bench.config("score"),
        "data": bench.train_data,
        "judge": bench.model("judge"),
        "training": bench.model("g").with_name("manifest.json"),
        "subject": bench.targets.subject(generator="g", sampler="two-steps", seed=0),
    }
    bench.run("score", "generation", samples=output, output=tmp_path / "score.json", **options)
    of_file, of_folder = record(bench.root / "scores" / "generation.json"), record(tmp_path / "score.json")
    assert of_folder["metrics"]["gfid"] == of_file["metrics"]["gfid"]
    assert of_folder["protocol_id"] == of_file["protocol_id"]


def test_one_file_leaves_no_parts_behind(bench: Workbench) -> None:
    assert not list(bench.root.glob("samples.parts"))


def test_damaged_weights_are_named_and_nothing_is_written(bench: Workbench, tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "model.safetensors"
    broken.parent.mkdir()
    broken.write_bytes(bench.model("g").read_bytes()[:-100])
    broken.with_name("config.json").write_bytes(bench.model("g").with_name("config.json").read_bytes())
    config, output = bench.config("sample", "two-steps"), tmp_path / "samples.npz"
    options = {"config": config, "tokenizer": bench.model("two"), "seed": 0, "output": output}
    message = bench.refusal("sample", generator=broken, **options)
    assert message.startswith(f"titok: FileError: {broken}")
    assert "is no readable safetensors file" in message
    assert "cut short or altered" in message
    assert not output.exists()


def test_a_tokenizer_is_no_generator(bench: Workbench, tmp_path: Path) -> None:
    models = {"generator": bench.model("two"), "tokenizer": bench.model("two")}
    output = tmp_path / "samples.npz"
    message = bench.refusal("sample", config=bench.config("sample", "two-steps"), seed=0, output=output, **models)
    assert "is a tokenizer (TiTok), a MaskGIT is needed" in message
