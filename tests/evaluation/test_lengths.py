"""Scores of lengths from one pass, each against its definition; whether a choice pays; and what is refused.

Run: pytest tests/evaluation/test_lengths.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from models.alit_toys import alit, alit_images
from torch import Tensor

from titok.config.adaptive_length import LengthRule
from titok.config.evaluation import Evaluation, Extractor, SampleChecks
from titok.data.transforms import to_uint8
from titok.errors import ScoreError
from titok.evaluation.codecs import CodecRoundTrip
from titok.evaluation.length_criteria import criterion_of, psnr_above
from titok.evaluation.length_gains import Choice, OneLength, gain_of
from titok.evaluation.length_pictures import Extremes
from titok.evaluation.length_ranks import JpegSizes, length_ranks, read_complexity
from titok.evaluation.lengths import Choosing, LengthScores, lengths_of, score_lengths, tag_of
from titok.evaluation.record import metric_of
from titok.metrics.features import ClassifierExtractor
from titok.metrics.frechet import frechet_distance
from titok.metrics.pixel import psnr
from titok.models.image_tokenizer import Ids, Reconstruction
from titok.models.length_choice import Criterion, choose_lengths, mean_absolute_error, restored_at

COUNT = 40


@pytest.fixture(scope="module")
def images() -> Tensor:
    return to_uint8(alit_images(COUNT), "round").float() / 255


def settings(**values: object) -> Evaluation:
    return Evaluation(extractor=Extractor(kind="classifier", classifier="judge"), **values)  # type: ignore[arg-type]


MODEL = alit()
LENGTHS = MODEL.config.lengths


def score(images: Tensor, judge: ClassifierExtractor, *criteria: Criterion, batch_size: int = 16) -> LengthScores:
    choosing = Choosing(LENGTHS, criteria, LengthRule(), MODEL.config.codebook_size)

    def restore(batch: Tensor) -> Iterator[Reconstruction]:
        return restored_at(MODEL, batch, LENGTHS)

    return score_lengths(restore, images.split(batch_size), judge, settings(), choosing, num_pictures=3)


def middle_l1(images: Tensor) -> float:
    """That half of the images meet with the shortest code, so that the others need more, or never do."""
    shortest = MODEL.detokenize(MODEL.tokenize(images, LENGTHS[0]))
    return float((shortest - images).abs().mean(dim=(1, 2, 3)).quantile(0.5))


def test_every_length_is_what_it_would_be_alone(images: Tensor, judge: ClassifierExtractor) -> None:
    found = score(images, judge, mean_absolute_error(0.1))
    for place, length in enumerate(LENGTHS):
        ids = MODEL.tokenize(images, length)
        restored = MODEL.detokenize(ids)
        pixels, originals = to_uint8(restored, "round"), to_uint8(images, "round")
        expected = float(psnr(pixels, originals, data_range=255).double().mean())
        assert found.metrics[f"psnr@{length}"] == pytest.approx(expected, abs=1e-4)
        l1 = (restored - images).abs().mean(dim=(1, 2, 3)).double()
        np.testing.assert_allclose(found.measured[:, place], l1.numpy(), atol=1e-6)
        assert found.metrics[f"l1@{length}"] == pytest.approx(float(l1.mean()), abs=1e-6)
        real, fake = (judge(each).features.double() for each in (originals, pixels))
        distance = frechet_distance(real.mean(0), torch.cov(real.T), fake.mean(0), torch.cov(fake.T)).value
        assert found.metrics[f"rfid@{length}"] == pytest.approx(distance, rel=1e-3, abs=1e-6)
        size = MODEL.config.codebook_size
        assert found.metrics[f"codebook_usage@{length}"] == len(ids.values.unique()) / size
        assert found.metrics[f"bits_per_image@{length}"] == length * np.log2(size) + np.log2(len(LENGTHS))


def test_the_lengths_given_are_those_of_the_choice(images: Tensor, judge: ClassifierExtractor) -> None:
    threshold = middle_l1(images)
    criteria = [mean_absolute_error(threshold), psnr_above(1.0)]
    for criterion in criteria:
        expected = choose_lengths(MODEL, images, criterion)
        found = score(images, judge, criterion)
        tag = tag_of(criterion)
        given = np.array(LENGTHS)[found.chosen[tag]]
        assert given.tolist() == expected.lengths.tolist()
        assert found.metrics[f"mean_length@{tag}"] == given.mean()
        assert found.metrics[f"met@{tag}"] == expected.met.double().mean()
        shares = [found.metrics[f"share_of_{length}@{tag}"] for length in LENGTHS]
        assert shares == [(given == length).mean() for length in LENGTHS]
        assert found.metrics[f"{criterion.name}@{tag}"] == pytest.approx(float(expected.measured.mean()), abs=1e-4)
        pixels, originals = to_uint8(expected.images, "round"), to_uint8(images, "round")
        real, fake = (judge(each).features.double() for each in (originals, pixels))
        distance = frechet_distance(real.mean(0), torch.cov(real.T), fake.mean(0), torch.cov(fake.T)).value
        assert found.metrics[f"rfid@{tag}"] == pytest.approx(distance, rel=1e-3, abs=1e-6)
        assert found.per_image[f"length@{tag}"].tolist() == given.tolist()
    assert tag_of(criteria[0]) == f"l1<{threshold:g}"
    assert found.chosen[tag].max() == 0, "any PSNR above 1 dB will do"


def test_batches_change_nothing(images: Tensor, judge: ClassifierExtractor) -> None:
    one, other = (score(images, judge, mean_absolute_error(middle_l1(images)), batch_size=b) for b in (7, COUNT))
    assert one.metrics == pytest.approx(other.metrics, rel=1e-4, abs=1e-4)
    for name, array in one.pictures.items():
        assert np.array_equal(array, other.pictures[name]) or abs(array.astype(int) - other.pictures[name]).max() <= 1


def test_all_metrics_have_names(images: Tensor, judge: ClassifierExtractor) -> None:
    found = score(images, judge, mean_absolute_error(0.05), mean_absolute_error(0.1))
    assert all(metric_of(key) for key in found.metrics), [key for key in found.metrics if not metric_of(key)]
    rfid = metric_of("rfid@8")
    assert rfid is not None
    assert (rfid.label, rfid.better, rfid.of_features) == ("rFID, K = 8", "lower", True)
    chosen = metric_of("mean_length@l1<0.05")
    assert chosen is not None
    assert chosen.label == "tokens per image, l1<0.05"
    assert metric_of("nothing@8") is None
    assert metric_of("rfid@") is None
    assert metric_of("rfid@l1=0.05") is None


def test_broken_reconstructions_and_too_few_images_are_refused(images: Tensor, judge: ClassifierExtractor) -> None:
    choosing = Choosing((2, 4), (mean_absolute_error(0.1),), LengthRule(), 16)

    def broken(batch: Tensor) -> Iterator[Reconstruction]:
        yield Reconstruction(batch, Ids(torch.zeros(len(batch), 2, dtype=torch.int64)))
        yield Reconstruction(batch * torch.nan, Ids(torch.zeros(len(batch), 4, dtype=torch.int64)))

    with pytest.raises(ScoreError, match="40 of 80 reconstructions hold NaN"):
        score_lengths(broken, [images], judge, settings(), choosing)
    with pytest.raises(ScoreError, match="10 images cannot fill a covariance of 12 features"):
        score(images[:10], judge, mean_absolute_error(0.1))
    with pytest.raises(ScoreError, match="no images"):
        score_lengths(broken, [], judge, settings(checks=SampleChecks()), choosing)


def test_a_tokenizer_of_one_length_has_that_one(images: Tensor, judge: ClassifierExtractor) -> None:
    choosing = Choosing((8,), (mean_absolute_error(0.1),), LengthRule(), 16)

    def whole(batch: Tensor) -> Iterator[Reconstruction]:
        yield Reconstruction(batch * 0.9, Ids(torch.zeros(len(batch), 8, dtype=torch.int64)))

    found = score_lengths(whole, [images], judge, settings(), choosing)
    assert {key.partition("@")[2] for key in found.metrics} == {"8"}
    assert found.metrics["bits_per_image@8"] == 32.0, "no bits for a choice that there is not"


def test_which_lengths_are_scored() -> None:
    rule = LengthRule(lengths=(1, 4))
    assert lengths_of((), rule, 8, has_own=False) == (8,)
    assert lengths_of((1, 2, 3, 4), rule, 4, has_own=False) == (1, 4)
    assert lengths_of((2, 4), rule, 4, has_own=True) == (2, 4)
    assert lengths_of((1, 2), LengthRule(), 2, has_own=False) == (1, 2)
    with pytest.raises(ScoreError, match=r"adaptive_length.lengths is \[1, 4\]; this tokenizer has 1 to 3"):
        lengths_of((1, 2, 3), rule, 3, has_own=False)


def test_criteria_by_name() -> None:
    assert criterion_of("psnr", 20.0).higher_is_better
    assert criterion_of("l1", 0.05).threshold == 0.05
    with pytest.raises(ScoreError, match="needs the weights of LPIPS"):
        criterion_of("lpips", 0.2)
    with pytest.raises(ScoreError, match="needs a classifier"):
        criterion_of("class", 0.5)


MEASURED = np.array([[0.4, 0.2], [0.1, 0.1], [0.5, 0.1], [0.2, 0.2]])
"""Errors of four images with 2 and with 4 tokens."""


def test_a_choice_is_held_against_the_mixture_of_equal_mean() -> None:
    choice = Choice(np.array([4, 2, 4, 2]), np.array([0.2, 0.1, 0.1, 0.2]))
    found = gain_of(choice, OneLength((2, 4), MEASURED), higher_is_better=False)
    assert found is not None
    # 3 tokens on the mean: half of the images with 2, half with 4: (0.3 + 0.15) / 2 against 0.15.
    assert found.value == pytest.approx(0.225 - 0.15)
    assert float(found.contributions.mean()) == pytest.approx(found.value)
    worse = gain_of(choice, OneLength((2, 4), MEASURED), higher_is_better=True)
    assert worse is not None
    assert worse.value == pytest.approx(0.15 - 0.225)


@pytest.mark.parametrize("length", [2, 4])
def test_one_length_gains_nothing_over_itself(length: int) -> None:
    column = MEASURED[:, (2, 4).index(length)]
    found = gain_of(Choice(np.full(4, length), column), OneLength((2, 4), MEASURED), higher_is_better=False)
    assert found is not None
    assert found.value == 0.0


def test_beyond_the_lengths_there_is_nothing_to_hold_it_against() -> None:
    choice = Choice(np.array([8, 8]), np.array([0.1, 0.1]))
    assert gain_of(choice, OneLength((2, 4), MEASURED[:2]), higher_is_better=False) is None
    assert gain_of(choice, OneLength((8,), MEASURED[:2, :1]), higher_is_better=False) is not None


def test_contributions_are_what_an_image_s_weight_changes() -> None:
    draws = np.random.default_rng(0)
    measured, lengths = draws.random((50, 3)), draws.choice([2, 4, 8], 50)
    own = draws.random(50)
    found = gain_of(Choice(lengths, own), OneLength((2, 4, 8), measured), higher_is_better=False)
    assert found is not None
    # Image 7 a hundred times more weight, in a set where all others are 1000 copies of themselves.
    weights = np.full(50, 1000)
    weights[7] += 100
    rows = np.repeat(np.arange(50), weights)
    moved = gain_of(Choice(lengths[rows], own[rows]), OneLength((2, 4, 8), measured[rows]), higher_is_better=False)
    assert moved is not None
    expected = (found.contributions[7] - found.value) * 100 / weights.sum()
    assert moved.value - found.value == pytest.approx(float(expected), rel=0.02)


def test_the_images_of_fewest_and_most_tokens_are_kept_whatever_the_batches() -> None:
    places = torch.tensor([0, 2, 1, 0, 2, 2, 0])
    errors = torch.tensor([0.3, 0.1, 0.2, 0.1, 0.9, 0.5, 0.2])
    originals = torch.arange(7, dtype=torch.uint8)[:, None, None, None].expand(7, 3, 2, 2)
    restored = originals[:, None].expand(7, 3, 3, 2, 2)
    for size in (2, 7):
        kept = Extremes(2)
        for part in torch.arange(7).split(size):
            kept.update(originals[part], restored[part], places[part], errors[part], False)
        arrays = kept.arrays((2, 4, 8))
        assert arrays["images"].shape == (4, 4, 2, 2, 3)
        assert arrays["images"][0, :, 0, 0, 0].tolist() == [3, 6, 5, 4], "the best of the fewest, the worst of the most"
        assert arrays["tokens"].tolist() == [2, 2, 8, 8]
        assert arrays["row_labels"].tolist() == ["original", "2", "4", "8"]
    assert Extremes(0).arrays((2,)) == {}


def test_lengths_rank_with_file_sizes(images: Tensor) -> None:
    sizes = JpegSizes(90)
    again = torch.cat(list(sizes.passing(images.split(9))))
    assert torch.equal(again, images)
    codec = CodecRoundTrip("jpeg", 90)
    codec(images)
    assert 8 * sum(sizes.sizes) / COUNT == codec.bits_per_image
    # Contrast grows from image to image, and files with it.
    ranks = length_ranks({"a": np.arange(COUNT), "one": np.full(COUNT, 4)}, {"jpeg_size": np.array(sizes.sizes, float)})
    assert set(ranks) == {"rank_with_jpeg_size@a"}
    assert ranks["rank_with_jpeg_size@a"] > 0.9


def test_people_s_scores_are_found_by_key(tmp_path: Path) -> None:
    table = tmp_path / "complexity.csv"
    table.write_text("image,complexity,class\nb,10.5,Art\na,70,Art\nother,3,Art\n")
    assert read_complexity(table, ["a", "b", "c"])[:2].tolist() == [70.0, 10.5]
    assert np.isnan(read_complexity(table, ["a", "b", "c"])[2])
    ranks = length_ranks({"t": np.array([8, 2, 4])}, {"complexity": read_complexity(table, ["a", "b", "c"])})
    assert ranks == {"rank_with_complexity@t": 1.0}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("image,score\na,1\n", "has no column complexity"),
        ("", "has no column image, complexity"),
        ("image,complexity\na,much\n", "line 2: complexity is 'much', which is no number"),
        ("image,complexity\na\n", "line 2: complexity is None, which is no number"),
        ("image,complexity\na,1\nb,2\na,3\n", "line 4: image 'a' is there twice"),
        ("image,complexity\nz,1\n", "has scores of 1 images and none of the 1 that are scored, such as 'a'"),
    ],
)
def test_tables_of_complexity_that_say_nothing(tmp_path: Path, content: str, said: str) -> None:
    table = tmp_path / "complexity.csv"
    table.write_text(content)
    with pytest.raises(ScoreError, match=said):
        read_complexity(table, ["a"])
