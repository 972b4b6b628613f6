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
def theirs(bench: Workbench) -> Arrays:
    """What the other program writes: ids with the names and classes of their images."""
    images = load_images(bench.root / "data", "train", 16)
    pixels = np.concatenate([batch.images.numpy() for batch in images.crops(16, 256)])
    patches = pixels.reshape(len(pixels), 3, 2, SIDE, 2, SIDE).transpose(0, 2, 4, 1, 3, 5).reshape(-1, 3 * SIDE**2)
    means = MiniBatchKMeans(VALUES, random_state=0, n_init=1, max_iter=3).fit(patches)
    ids = means.labels_.reshape(-1, 4)
    return {"ids": ids, "names": np.array(images.keys), "labels": np.asarray(images.labels)}


@pytest.fixture(scope="module")
def settings(bench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The resolved settings of a study whose generator learns these ids."""
    document = changed(bench_document(), "external", {"means": ENTRY})
    document = changed(document, "generators.theirs", {"tokenizer": "means"})
    study, folder, written = study_of(document), tmp_path_factory.mktemp("settings"), {}
    for kind, name in (("external_tokens", "means"), ("generator", "theirs")):
        written[kind] = folder / f"{kind}.yaml"
        written[kind].write_text(yaml.safe_dump(job(study, kind, name).resolved()))
    return written


def brought_in(bench: Workbench, settings: dict[str, Path], folder: Path, arrays: Arrays) -> Path:
    np.savez(folder / "ids.npz", **arrays)
    output = folder / "tokens.npz"
    config, data = settings["external_tokens"], bench.train_data
    bench.run("external-tokens", config=config, data=data, ids=folder / "ids.npz", output=output)
    return output


def test_a_generator_learns_them_and_samples_are_such_ids(
    bench: Workbench, settings: dict[str, Path], theirs: Arrays, tmp_path: Path
) -> None:
    tokens = brought_in(bench, settings, tmp_path, theirs)
    model, state = tmp_path / "model.safetensors", tmp_path / "state"
    bench.run(
        "train",
        "generator",
        config=settings["generator"],
        tokens=tokens,
        output=model,
        state=state,
        seed=0,
        device="cpu",
    )
    sampled = tmp_path / "samples.json"
    sampler = tmp_path / "sampler.yaml"
    sampler.write_text("num_steps: 2\n")
    words = {
        "class": [0, 7],
        "per-class": 3,
        "generator": tmp_path,
        "output": sampled,
        "device": "cpu",
        "sampler": sampler,
    }
    bench.run("generate", **words)
    samples = record(sampled)["samples"]
    assert [sample["class"] for sample in samples] == [0, 0, 0, 7, 7, 7]
    assert all(len(sample["tokens"]) == 4 for sample in samples)
    assert {value for sample in samples for value in sample["tokens"]} <= set(range(VALUES))


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
