"""Ids of a tokenizer that is not ours become tokens that a generator of ours learns, and its samples are such ids.

The other program is scikit-learn: k-means of 8 x 8 patches, four ids of an image.

Run: pytest tests/commands/test_external_tokens.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from commands.workbench import Workbench, bench_document, record
from config.studies import changed, study_of
from sklearn.cluster import MiniBatchKMeans

from titok.config.jobs import job
from titok.data.images import load_images
from titok.data.tokens import load_tokens
from titok.runtime.files import load_npz, save_npz, sha256_file

SIDE, VALUES = 8, 12
Arrays = dict[str, np.ndarray]
ENTRY = {
    "reconstructions": "pictures",
    "num_latent_tokens": 4,
    "codebook_size": VALUES,
    "source": "scikit-learn",
    "licence": "BSD-3-Clause",
    "tokens": {"path": "ids.npz"},
}


@pytest.fixture(scope="module")
def program(bench: Workbench) -> MiniBatchKMeans:
    """The other program: its means are of the training images' patches, and its decoder."""
    images = load_images(bench.root / "data", "train", 16)
    pixels = np.concatenate([batch.images.numpy() for batch in images.crops(16, 256)])
    patches = pixels.reshape(len(pixels), 3, 2, SIDE, 2, SIDE).transpose(0, 2, 4, 1, 3, 5).reshape(-1, 3 * SIDE**2)
    return MiniBatchKMeans(VALUES, random_state=0, n_init=1, max_iter=3).fit(patches)


@pytest.fixture(scope="module")
def theirs(bench: Workbench, program: MiniBatchKMeans) -> Arrays:
    """What the other program writes: ids with the names and classes of their images."""
    images, ids = load_images(bench.root / "data", "train", 16), program.labels_.reshape(-1, 4)
    return {"ids": ids, "names": np.array(images.keys), "labels": np.asarray(images.labels)}


def decoded(program: MiniBatchKMeans, ids: np.ndarray) -> np.ndarray:
    """Images (N, 16, 16, 3) uint8 of ids (N, 4)."""
    patches = program.cluster_centers_[ids].reshape(-1, 2, 2, 3, SIDE, SIDE)
    return (255 * patches.transpose(0, 1, 4, 2, 5, 3).reshape(-1, 16, 16, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def settings(bench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The resolved settings of a study whose generator learns these ids."""
    document = changed(bench_document(), "external", {"means": ENTRY})
    document = changed(document, "generators.theirs", {"tokenizer": "means"})
    study, folder, written = study_of(document), tmp_path_factory.mktemp("settings"), {}
    jobs = (("external_tokens", "means"), ("generator", "theirs"), ("sample", "two-steps"), ("score", "samples"))
    for kind, name in jobs:
        written[kind] = folder / f"{kind}.yaml"
        written[kind].write_text(yaml.safe_dump(job(study, kind, name).resolved()))
    return written


def brought_in(bench: Workbench, settings: dict[str, Path], folder: Path, arrays: Arrays) -> Path:
    np.savez(folder / "ids.npz", **arrays)
    output = folder / "tokens.npz"
    config, data = settings["external_tokens"], bench.train_data
    bench.run("external-tokens", config=config, data=data, ids=folder / "ids.npz", output=output)
    return output


@pytest.fixture(scope="module")
def generator(
    bench: Workbench, settings: dict[str, Path], theirs: Arrays, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A generator that learned the ids."""
    folder = tmp_path_factory.mktemp("generator")
    tokens, model = brought_in(bench, settings, folder, theirs), folder / "model.safetensors"
    options = {"config": settings["generator"], "tokens": tokens, "output": model, "state": folder / "state"}
    bench.run("train", "generator", **options, seed=0, device="cpu")
    return model


def test_samples_of_a_generator_that_learned_them_are_such_ids(
    bench: Workbench, generator: Path, tmp_path: Path
) -> None:
    sampled, sampler = tmp_path / "samples.json", tmp_path / "sampler.yaml"
    sampler.write_text("num_steps: 2\n")
    words = {"class": [0, 7], "per-class": 3, "generator": generator.parent, "output": sampled, "sampler": sampler}
    bench.run("generate", **words, device="cpu")
    samples = record(sampled)["samples"]
    assert [sample["class"] for sample in samples] == [0, 0, 0, 7, 7, 7]
    assert all(len(sample["tokens"]) == 4 for sample in samples)
    assert {value for sample in samples for value in sample["tokens"]} <= set(range(VALUES))


def test_what_its_decoder_makes_of_samples_is_scored(
    bench: Workbench, settings: dict[str, Path], program: MiniBatchKMeans, generator: Path, tmp_path: Path
) -> None:
    ids = tmp_path / "ids.npz"
    drawn = {"config": settings["sample"], "generator": generator, "seed": 0, "device": "cpu"}
    bench.run("sample", **drawn, output=ids)
    arrays = load_npz(ids)
    assert arrays["ids"].shape == (80, 4)
    assert arrays["labels"].tolist() == [place % 10 for place in range(80)]
    again = tmp_path / "again.npz"
    bench.run("sample", **drawn, execution='{"batch_size": 7}', output=again)
    assert (load_npz(again)["ids"] == arrays["ids"]).all(), "noise is of a sample's place, not of its batch"
    assert "ids go into one file" in bench.refusal("sample", **drawn, output=tmp_path / "folder")
    images, samples, score = decoded(program, arrays["ids"]), tmp_path / "theirs.npz", tmp_path / "score.json"
    save_npz(samples, arr_0=images, **arrays)
    words = {
        "config": settings["score"],
        "data": bench.train_data,
        "judge": bench.model("judge"),
        "samples": samples,
        "ids": ids,
        "training": generator.with_name("manifest.json"),
        "subject": '{"generator": "theirs", "sampler": "two-steps", "seed": 0}',
        "output": score,
    }
    bench.run("score", "generation", **words)
    found = record(score)
    assert found["metrics"]["gfid"]["value"] > 0
    assert found["metrics"]["generator_parameters"]["value"] > 0
    assert "sampling_images_per_second" not in found["metrics"]
    told = {"num_latent_tokens": 4, "codebook_size": VALUES, "num_steps": 2, "generator_kind": "vit"}
    assert found["subject"].items() >= told.items()
    assert found["provenance"]["inputs"]["ids"]["sha256"] == sha256_file(ids)
    save_npz(samples, arr_0=images, labels=arrays["labels"], ids=arrays["ids"][::-1].copy())
    refused = bench.refusal("score", "generation", **words | {"output": tmp_path / "never.json"})
    assert "decode that file again" in refused


def test_rows_find_their_images_by_name(
    bench: Workbench, settings: dict[str, Path], theirs: Arrays, tmp_path: Path
) -> None:
    shuffled = np.random.default_rng(0).permutation(len(theirs["ids"]))
    tokens = load_tokens(brought_in(bench, settings, tmp_path, {k: v[shuffled] for k, v in theirs.items()}))
    assert (tokens.tokens[:, 0] == theirs["ids"]).all()
    assert (tokens.labels == theirs["labels"]).all()
    in_order = {"ids": theirs["ids"], "labels": theirs["labels"]}
    assert (load_tokens(brought_in(bench, settings, tmp_path, in_order)).tokens == tokens.tokens).all()


def missing(found: Arrays) -> Arrays:
    return {name: values[1:] for name, values in found.items()}


def doubled(found: Arrays) -> Arrays:
    return {**found, "names": np.array([found["names"][1], *found["names"][1:]])}


def misnamed(found: Arrays) -> Arrays:
    return {**found, "names": np.array(["cat", *found["names"][1:]])}


def too_large(found: Arrays) -> Arrays:
    ids = found["ids"].copy()
    ids[5, 2] = VALUES
    return {**found, "ids": ids}


def broken_order(found: Arrays) -> Arrays:
    return {"ids": found["ids"], "labels": np.roll(found["labels"], 1)}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (missing, "ids of shape (1696, 4); there are 1697 training images of 4 ids"),
        (doubled, "1 images without ids: {first}; 1 names more than once: {second}. A row is called like its image"),
        (misnamed, "1 images without ids: {first}; 1 names of no training image: cat"),
        (too_large, "1 rows of ids, first row 5, have values such as 12; allowed: 0 to 11"),
        (lambda found: {**found, "ids": found["ids"] - 20}, "allowed: 0 to 11"),
        (lambda found: {**found, "ids": found["ids"].astype(float)}, "ids of type float64; ids are whole numbers"),
        (lambda found: {**found, "ids": found["ids"][:, :3]}, "ids of shape (1697, 3)"),
        (lambda found: {**found, "lengths": found["labels"]}, "has lengths; every image needs 4 ids"),
        (lambda found: {**found, "names": found["names"][:9]}, "has names of shape (9,) for 1697 rows"),
        (lambda found: {"ids": found["ids"]}, "has the arrays ids; needed: ids (N, K) and"),
        (broken_order, "labels are not their images', first row"),
    ],
)
def test_what_is_not_one_to_one_or_no_id_is_refused(
    bench: Workbench,
    settings: dict[str, Path],
    theirs: Arrays,
    tmp_path: Path,
    spoil: Callable[[Arrays], Arrays],
    said: str,
) -> None:
    np.savez(tmp_path / "ids.npz", **spoil(theirs))
    output, config = tmp_path / "never.npz", settings["external_tokens"]
    options = {"config": config, "data": bench.train_data, "ids": tmp_path / "ids.npz", "output": output}
    first, second = theirs["names"][:2]
    assert said.format(first=first, second=second) in bench.refusal("external-tokens", **options)
    assert not output.exists()
