"""`titok score`: records with numbers, protocol and provenance, and what is not scored.

Run: pytest tests/commands/test_score.py
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from commands.workbench import Workbench, record
from golden.loss_inputs import heads_state, vgg16_state
from metrics.encoder_weights import made_up

import titok
from titok.commands.score import reconstruct_with
from titok.config.model import TokenizerModel, TransformerSize
from titok.models.folder import load_image_tokenizer
from titok.models.tokenizer import TiTok
from titok.runtime.files import load_npz, save_npz, sha256_file
from titok.runtime.seed import generator

RECONSTRUCTION = {
    "rfid",
    "inception_score",
    "psnr",
    "ssim",
    "codebook_usage",
    "codebook_entropy_bits",
    "codebook_perplexity",
    "classifier_accuracy",
    "judge_accuracy",
    "chance_accuracy",
    "explained_variance",
    "parameters",
    "encoder_parameters",
    "decoder_parameters",
    "training_images_per_second",
}
GENERATION = {
    "gfid",
    "inception_score",
    "precision",
    "recall",
    "class_agreement",
    "generator_parameters",
    "sampling_images_per_second",
    "training_images_per_second",
}


@pytest.mark.parametrize(
    ("name", "kind", "metrics"),
    [
        ("two", "reconstruction", RECONSTRUCTION),
        ("vqgan", "reconstruction", RECONSTRUCTION),
        ("probe", "linear_probe", {"linear_probe_top1"}),
        ("generation", "generation", GENERATION),
    ],
)
def test_records_are_complete(bench: Workbench, name: str, kind: str, metrics: set[str]) -> None:
    found = record(bench.root / "scores" / f"{name}.json")
    assert (found["kind"], found["study"]) == (kind, "bench")
    assert metrics <= found["metrics"].keys()
    assert found["subject"]["seed"] == 0
    assert len(found["protocol_id"]) == 12
    assert found["provenance"]["inputs"]
    for speed in metrics & {"sampling_images_per_second", "training_images_per_second"}:
        protocol = found["metrics"][speed]["protocol"]
        assert protocol["device"]["type"] == "cpu"
        assert protocol["precision"] == "fp32"
        assert protocol["batch_size"] == (50 if speed.startswith("sampling") else 16 if name == "two" else 32)


def test_numbers_from_a_trained_judge_are_never_called_fid(bench: Workbench) -> None:
    for name, metric in (("two", "rfid"), ("generation", "gfid")):
        label = record(bench.root / "scores" / f"{name}.json")["metrics"][metric]["label"]
        assert label == f"bench-{'rFID' if metric == 'rfid' else 'gFID'}"


def test_the_protocol_names_judge_and_reference(bench: Workbench) -> None:
    protocol = record(bench.root / "scores" / "two.json")["protocol"]
    assert sha256_file(bench.model("judge")) in str(protocol)
    assert protocol["reference"]["split"] == "test"
    assert record(bench.root / "scores" / "generation.json")["protocol"]["reference"]["split"] == "train"


def test_examples_show_originals_and_reconstructions(bench: Workbench) -> None:
    examples = load_npz(bench.root / "examples" / "two.npz")
    assert examples["images"].shape[0] == 2
    assert examples["images"].shape[2:] == (16, 16, 3)
    assert examples["row_labels"].tolist() == ["original", "reconstruction"]


def reconstruction(bench: Workbench, output: Path, **changed: object) -> dict[str, object]:
    return {
        "config": bench.config("score"),
        "data": bench.test_data,
        "judge": bench.model("judge"),
        "model": bench.model("two"),
        "subject": bench.targets.subject(tokenizer="two", stage="stage2", seed=0),
        "output": output,
        **changed,
    }


def test_scoring_again_gives_the_same_numbers(bench: Workbench, tmp_path: Path) -> None:
    bench.run("score", "reconstruction", **reconstruction(bench, tmp_path / "score.json"))
    first, again = record(bench.root / "scores" / "two.json"), record(tmp_path / "score.json")
    assert (again["metrics"], again["protocol_id"]) == (first["metrics"], first["protocol_id"])


def test_a_table_of_images_beside_the_record(bench: Workbench, tmp_path: Path) -> None:
    table, output = tmp_path / "images.csv", tmp_path / "score.json"
    asked = reconstruction(bench, output, **{"per-image": table})
    bench.run("score", "reconstruction", **asked)
    found, plain = record(output), record(bench.root / "scores" / "two.json")
    assert (found["metrics"], found["protocol_id"]) == (plain["metrics"], plain["protocol_id"])
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 100
    assert np.mean([float(row["psnr"]) for row in rows]) == pytest.approx(found["metrics"]["psnr"]["value"])
    codes = {int(token) for row in rows for token in row["tokens"].split()}
    assert len(codes) / 16 == found["metrics"]["codebook_usage"]["value"]
    # Run again, it replaces its own table; of another subject it does not.
    bench.run("score", "reconstruction", **asked)
    message = bench.refusal("score", "reconstruction", **asked | {"subject": bench.targets.vqgan_subject()})
    assert "images.csv" in message
    assert "add --overwrite" in message


def test_encoders_are_scored_from_their_weights_alone(bench: Workbench, tmp_path: Path) -> None:
    weights = made_up(tmp_path / "test_vit.safetensors")
    settings = yaml.safe_load(bench.config("score").read_text())
    encoder = {"model": "test_vit", "label": "Toy", "weights": str(weights)}
    settings["evaluation"] |= {"encoders": {"toy": encoder}, "kid": {"subsets": 3, "subset_size": 50}}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    bench.run("score", "reconstruction", **reconstruction(bench, tmp_path / "rec.json", config=config))
    samples = bench.root / "samples.npz"
    few = {"config": config, "data": bench.test_data}  # the network looks at each of them, at 160 pixels
    bench.run("score", "generation", **generation(bench, samples, tmp_path / "gen.json") | few)
    for name in ("rec", "gen"):
        found = record(tmp_path / f"{name}.json")
        assert [found["metrics"][key]["label"] for key in ("fd_toy", "kid_toy")] == ["Toy-FD", "Toy-KID"]
        assert found["protocol"]["encoders"]["toy"]["sha256"] == sha256_file(weights)
    weights.unlink()
    message = bench.refusal("score", "reconstruction", **reconstruction(bench, tmp_path / "no.json", config=config))
    assert f"{weights} does not exist" in message
    assert not (tmp_path / "no.json").exists()


def test_another_protocol_has_another_name(bench: Workbench, tmp_path: Path) -> None:
    settings = yaml.safe_load(bench.config("score").read_text())
    settings["evaluation"]["rounding"] = "truncate"
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    bench.run("score", "reconstruction", **reconstruction(bench, tmp_path / "score.json", config=config))
    first, again = record(bench.root / "scores" / "two.json"), record(tmp_path / "score.json")
    assert again["protocol_id"] != first["protocol_id"]


def test_lpips_kid_and_intervals_where_the_settings_ask_for_them(bench: Workbench, tmp_path: Path) -> None:
    torch.save(vgg16_state(), tmp_path / "vgg16.pth")
    torch.save(heads_state(), tmp_path / "heads.pth")
    settings = yaml.safe_load(bench.config("score").read_text())
    settings["evaluation"] |= {
        "kid": {"subsets": 3, "subset_size": 50},
        "lpips": {"vgg16": {"path": str(tmp_path / "vgg16.pth")}, "heads": {"path": str(tmp_path / "heads.pth")}},
        "uncertainty": {"resamples": 50, "extrapolation_points": 3},
    }
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    bench.run("score", "reconstruction", **reconstruction(bench, tmp_path / "score.json", config=config))
    first, found = record(bench.root / "scores" / "two.json"), record(tmp_path / "score.json")
    assert set(found["metrics"]) - set(first["metrics"]) == {"lpips", "kid"}
    assert found["protocol"]["at_infinite_n"] is None, "100 images of 64 features are too few for a line"
    assert found["metrics"]["lpips"]["label"] == "LPIPS (VGG16)"
    assert found["protocol"]["lpips"]["vgg16_sha256"] == sha256_file(tmp_path / "vgg16.pth")
    for name in ("rfid", "psnr", "lpips"):
        interval = found["metrics"][name]["interval"]
        assert interval["low"] < found["metrics"][name]["value"] < interval["high"]
    settings["evaluation"]["lpips"]["heads"]["sha256"] = "0" * 64
    config.write_text(yaml.safe_dump(settings))
    message = bench.refusal("score", "reconstruction", **reconstruction(bench, tmp_path / "no.json", config=config))
    assert "lpips_heads" in message
    assert "0" * 64 in message
    assert not (tmp_path / "no.json").exists()


def test_what_cannot_be_scored(bench: Workbench, tmp_path: Path) -> None:
    output = tmp_path / "score.json"
    options = reconstruction(bench, output)
    without_judge = {name: value for name, value in options.items() if name != "judge"}
    assert "give its model file with --judge" in bench.refusal("score", "reconstruction", **without_judge)
    message = bench.refusal("score", "reconstruction", **reconstruction(bench, output, model=bench.model("g")))
    assert "is a generator (MaskGITViT), a tokenizer of images is needed" in message
    message = bench.refusal("score", "reconstruction", **reconstruction(bench, output, model=tmp_path / "no" / "m"))
    assert message.startswith("titok: FileError: ")
    assert "does not exist" in message
    assert not output.exists()


def generation(bench: Workbench, samples: Path, output: Path) -> dict[str, object]:
    return {
        "config": bench.config("score"),
        "data": bench.train_data,
        "judge": bench.model("judge"),
        "samples": samples,
        "training": bench.model("g").with_name("manifest.json"),
        "subject": bench.targets.subject(generator="g", sampler="two-steps", seed=0),
        "output": output,
    }


def test_another_number_of_samples_is_not_scored(bench: Workbench, tmp_path: Path) -> None:
    arrays, samples = load_npz(bench.root / "samples.npz"), tmp_path / "samples.npz"
    save_npz(samples, **{name: values[:70] for name, values in arrays.items()})
    samples.with_suffix(".json").write_bytes((bench.root / "samples.json").read_bytes())
    message = bench.refusal("score", "generation", **generation(bench, samples, tmp_path / "score.json"))
    assert "70" in message
    assert "80" in message
    assert not (tmp_path / "score.json").exists()


def test_a_truncated_sample_file_is_named(bench: Workbench, tmp_path: Path) -> None:
    samples = tmp_path / "samples.npz"
    samples.write_bytes((bench.root / "samples.npz").read_bytes()[:5000])
    message = bench.refusal("score", "generation", **generation(bench, samples, tmp_path / "score.json"))
    assert str(samples) in message
    assert not (tmp_path / "score.json").exists()


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_probe_on_fresh_windows_reads_and_encodes_in_parts(bench: Workbench, tmp_path: Path, in_memory: bool) -> None:
    settings = yaml.safe_load(bench.config("probe").read_text())
    settings["probe"] |= {"views": None, "batch_size": 96}  # two parts of 48, for the job's batches are of 50
    settings["dataset"]["in_memory"] = in_memory
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    paths = {"train": bench.train_data, "test": bench.test_data, "model": bench.model("stage1")}
    subject = bench.targets.subject(tokenizer="two", stage="encoder", seed=0)
    state, output = tmp_path / "state", tmp_path / "probe.json"
    bench.run("score", "probe", config=config, **paths, subject=subject, state=state, output=output)
    found = record(output)
    assert 0 <= found["metrics"]["linear_probe_top1"]["value"] <= 1
    assert found["protocol"]["training_windows"] == "random crop and flip, anew in every update"
    assert not (state / "features").exists()
    assert found["protocol_id"] != record(bench.root / "scores" / "probe.json")["protocol_id"]


def test_a_probe_reads_all_that_it_is_asked_to_from_one_pass(bench: Workbench, tmp_path: Path) -> None:
    settings = yaml.safe_load(bench.config("probe").read_text())
    first = settings["probe"]["features"]
    settings["probe"] |= {"readings": [{"of": "width", "pooling": "mean"}, {"of": "codes", "pooling": "concatenate"}]}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    paths = {"train": bench.train_data, "test": bench.test_data, "model": bench.model("stage1")}
    subject = bench.targets.subject(tokenizer="two", stage="encoder", seed=0)
    output = tmp_path / "probe.json"
    bench.run("score", "probe", config=config, **paths, subject=subject, state=tmp_path / "state", output=output)
    found, plain = record(output), record(bench.root / "scores" / "probe.json")
    names = {"linear_probe_top1", f"linear_probe_top1_bottleneck_{first}"}
    assert found["metrics"].keys() == names | {"linear_probe_top1_width_mean", "linear_probe_top1_codes_concatenate"}
    for name in names:
        assert found["metrics"][name]["value"] == plain["metrics"]["linear_probe_top1"]["value"], "read as before"
    readings = [f"bottleneck_{first}", "width_mean", "codes_concatenate"]
    assert found["protocol"]["readings"] == readings, "nothing of the model, so that all K share a column"
    assert found["metrics"]["linear_probe_top1_width_mean"]["label"] == "linear probe top-1 (width, mean)"


def test_a_probe_of_lengths_says_the_accuracy_at_each(bench: Workbench, tmp_path: Path) -> None:
    """Of a tokenizer of one length, that one, by the classifier that there is anyway."""
    settings = yaml.safe_load(bench.config("probe").read_text()) | {"lengths": [1, 2]}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    paths = {"train": bench.train_data, "test": bench.test_data}
    whole = record(bench.root / "scores" / "probe.json")["metrics"]["linear_probe_top1"]["value"]
    model = load_image_tokenizer(bench.model("stage1"), torch.device("cpu"))
    assert isinstance(model, TiTok)
    prefixes = TiTok(model.config.model_copy(update={"tail_drop": "uniform"}))
    prefixes.load_state_dict(model.state_dict())
    titok.save(prefixes, tmp_path / "tail", layout="own")
    for name, file, lengths in (
        ("one", bench.model("stage1"), [2]),
        ("all", tmp_path / "tail/model.safetensors", [1, 2]),
    ):
        subject = bench.targets.subject(tokenizer="two", stage="encoder", seed=0)
        output, state = tmp_path / f"{name}.json", tmp_path / name
        bench.run("score", "probe", config=config, model=file, **paths, subject=subject, state=state, output=output)
        found = record(output)["metrics"]
        assert {name for name in found if "@" in name} == {f"linear_probe_top1@{length}" for length in lengths}
        assert found["linear_probe_top1@2"]["value"] == found["linear_probe_top1"]["value"] == whole
    assert found["linear_probe_top1@1"]["label"] == "linear probe top-1, K = 1"


def test_a_probe_sees_maes_crops_where_it_is_asked_to(bench: Workbench, tmp_path: Path) -> None:
    settings = yaml.safe_load(bench.config("probe").read_text())
    settings["probe"] |= {"views": None, "windows": "random_resized_crop"}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    paths = {"train": bench.train_data, "test": bench.test_data, "model": bench.model("stage1")}
    subject = bench.targets.subject(tokenizer="two", stage="encoder", seed=0)
    output = tmp_path / "probe.json"
    bench.run("score", "probe", config=config, **paths, subject=subject, state=tmp_path / "state", output=output)
    assert record(output)["protocol"]["training_windows"].startswith("random resized crop (8 to 100 % of the area")
    settings["probe"]["views"] = {"crops": "centre"}
    config.write_text(yaml.safe_dump(settings))
    output = tmp_path / "no.json"
    message = bench.refusal("score", "probe", config=config, **paths, subject=subject, state=tmp_path, output=output)
    assert "windows is 'random_resized_crop', but the features of fixed views are stored" in message


def test_a_probe_with_other_settings_starts_anew_beside_the_old_state(bench: Workbench, tmp_path: Path) -> None:
    settings = yaml.safe_load(bench.config("probe").read_text())
    config = tmp_path / "config.yaml"
    paths = {"train": bench.train_data, "test": bench.test_data, "model": bench.model("stage1")}
    subject = bench.targets.subject(tokenizer="two", stage="encoder", seed=0)
    state, output = tmp_path / "state", tmp_path / "probe.json"
    for steps in (4, 6):
        settings["probe"]["steps"] = steps
        config.write_text(yaml.safe_dump(settings))
        bench.run("score", "probe", config=config, **paths, subject=subject, state=state, output=output)
        assert record(output)["protocol"]["training"]["steps"] == steps
    assert len(list(state.glob("*/run.json"))) == 2


def test_latents_of_a_vae_are_sampled_by_the_place_of_the_image() -> None:
    size = TransformerSize(width=16, depth=1, num_heads=2, init_std=0.5)
    torch.manual_seed(0)
    model = TiTok(
        TokenizerModel(
            kind="vae", head="pixels", vqgan=None, image_size=16, patch_size=8, encoder=size, decoder=size,
            num_latent_tokens=2, code_dim=3,
        )
    ).eval()  # fmt: skip
    images = torch.rand(5, 3, 16, 16)

    def scored(*batches: slice) -> torch.Tensor:
        reconstruct = reconstruct_with(model)
        with torch.no_grad():
            return torch.cat([reconstruct(images[rows])[0] for rows in batches])

    whole = scored(slice(5))
    torch.testing.assert_close(scored(slice(2), slice(2, 5)), whole)
    noise = torch.stack([torch.randn(2, 3, generator=generator(0, "posterior", place)) for place in range(5)])
    with torch.no_grad():
        torch.testing.assert_close(whole, model(images, noise)[0])
        assert (whole - model(images)[0]).abs().max() > 1e-3
    assert model.facts.codebook_size is None
