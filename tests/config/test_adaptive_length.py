"""The section `adaptive_length` of a study: what it makes, what it refuses, and that it moves no other job.

Run: pytest tests/config/test_adaptive_length.py
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from config.studies import changed, study_of, tiny_document, without

from titok.config.adaptive_length import AdaptiveLength
from titok.config.data_jobs import TokensJob
from titok.config.jobs import job, job_names
from titok.config.length_stages import length_seeds, length_stages, scored_lengths
from titok.config.measuring_jobs import LengthsJob, ProbeJob
from titok.config.targets import Targets
from titok.runtime.sums import sha256_json

ROWS = [
    {"label": "Tail drop", "tokenizer": "tail", "stage": "stage1"},
    {"label": "TiTok", "tokenizer": "s1", "stage": "stage1"},
]


def document(**section: Any) -> dict[str, Any]:
    """The small study with a tail drop of two seeds, whose choices stand beside `s1` and `s2`."""
    found = changed(tiny_document(), "tokenizers.tail", {"encoder": "s", "decoder": "s", "num_latent_tokens": 2})
    found = changed(found, "tokenizers.tail.tail_drop", "uniform")
    given = {"thresholds": [0.2, 0.1], "beside": {"s1": "stage1", "s2": "stage1"}} | section
    found = changed(found, "adaptive_length", given)
    return changed(found, "reporting.tables.adaptive_length", {"rows": ROWS})


def test_a_study_without_the_section_scores_no_lengths() -> None:
    study = study_of(tiny_document())
    assert length_stages(study) == []
    assert not [path for path in Targets(study).everything() if "lengths" in path]
    assert ("lengths", "all") not in set(job_names(study))


def test_the_section_moves_no_other_job() -> None:
    given = document()
    before, after = (
        study_of(without(without(given, "adaptive_length"), "reporting.tables.adaptive_length")),
        study_of(given),
    )
    names = set(job_names(before))
    assert set(job_names(after)) - names == {("lengths", "all")}
    for kind, name in names:
        assert sha256_json(job(after, kind, name).identity()) == sha256_json(job(before, kind, name).identity()), kind


def test_every_tokenizer_of_several_lengths_is_scored_and_what_stands_beside_it() -> None:
    study = study_of(document())
    targets = Targets(study)
    assert length_stages(study) == [("tail", "stage1"), ("s1", "stage1"), ("s2", "stage1")]
    assert targets.length_scores("s1", "stage1") == [
        f"results/tiny/scores/lengths/s1/stage1/seed{seed}.json" for seed in length_seeds(study, "s1")
    ]
    assert length_seeds(study, "tail") == (0,)
    assert length_seeds(study, "s1") == (0,), "s1 has two seeds, of which the tail drop has one"
    beside = targets.fixed_beside("tail", "0")
    assert beside == [f"results/tiny/lengths/{name}/stage1/seed0.csv" for name in ("s1", "s2")]
    assert targets.fixed_beside("s1", "0") == []
    assert targets.table_scores("adaptive_length") == [
        "results/tiny/scores/lengths/tail/stage1/seed0.json",
        "results/tiny/scores/lengths/s1/stage1/seed0.json",
    ]
    assert (scored_lengths(study, "tail"), scored_lengths(study, "s2")) == ((1, 2), (2,))


def test_a_table_that_shows_probes_has_them_made_of_every_length() -> None:
    plain = study_of(document())
    study = study_of(changed(document(), "reporting.tables.adaptive_length.linear_probe", True))
    targets = Targets(study)
    assert (targets.probe_job("tail"), targets.probe_job("s1"), Targets(plain).probe_job("tail")) == (
        "lengths", "all", "all",
    )  # fmt: skip
    found = job(
        study_of(changed(document(lengths=[1, 2]), "reporting.tables.adaptive_length.linear_probe", True)),
        "probe",
        "lengths",
    )
    assert isinstance(found, ProbeJob)
    assert found.lengths == (1, 2)
    assert set(job_names(study)) - set(job_names(plain)) == {("probe", "lengths")}
    assert job(study, "probe", "all").identity() == job(plain, "probe", "all").identity()
    probes = {"results/tiny/scores/probe/tail/seed0.json", "results/tiny/scores/probe/s1/seed0.json"}
    assert probes <= set(targets.table_scores("adaptive_length")) & set(targets.all_scores())
    assert not any("probe/tail" in path for path in Targets(plain).all_scores())
    with pytest.raises(KeyError, match="no table of adaptive length has linear_probe: true"):
        job(plain, "probe", "lengths")


def test_latents_are_probed_in_a_stage_whose_encoder_the_others_keep() -> None:
    targets = Targets(study_of(document()))
    assert targets.probed_model("b2-final", 0) == "results/tiny/tokenizers/b2-final/seed0/stage1/model.safetensors"
    assert json.loads(targets.probe_subject("b2-final", 0))["stage"] == "encoder"


BESIDE: list[dict[str, str]] = [{"s1": "stage1"}, {"s1": "stage1", "s2": "stage1"}]


def test_what_stands_beside_is_no_setting_of_the_scores() -> None:
    """They are files that the job is given; Snakemake knows them by their content."""
    one, other = (job(study_of(document(beside=each)), "lengths", "all") for each in BESIDE)
    assert isinstance(one, LengthsJob)
    assert one.identity() == other.identity()
    assert one.lengths.scored == (0.1, 0.2)


def test_tokens_of_generators_have_lengths_where_a_threshold_says_so() -> None:
    whole, chosen = (job(study_of(document(tokens=each)), "tokens", "all") for each in (None, 0.15))
    assert isinstance(whole, TokensJob)
    assert isinstance(chosen, TokensJob)
    assert whole.lengths is None
    assert chosen.lengths is not None
    assert (chosen.lengths.criterion, chosen.lengths.threshold) == ("l1", 0.15)


def test_thresholds_come_from_that_which_asks_for_the_most() -> None:
    assert AdaptiveLength(thresholds=(0.2, 0.1)).scored == (0.1, 0.2)
    assert AdaptiveLength(criterion="psnr", thresholds=(20, 30)).scored == (30, 20)
    assert AdaptiveLength(criterion="class").scored == (0.5,)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"thresholds": []}, "thresholds is empty; give the criterion 'l1' at least one"),
        ({"thresholds": [0.1, 0.1]}, "list each once"),
        ({"thresholds": [0.1, 0.10000001]}, "records tell them apart by six digits"),
        ({"criterion": "class"}, "criterion is 'class', which knows no threshold"),
        ({"criterion": "lpips"}, "adaptive_length.criterion is 'lpips', but evaluation.lpips names no weights"),
        ({"criterion": "lpips", "tokens": 0.1}, "which only scores have weights for"),
        ({"lengths": [2, 1]}, "from few to many"),
        ({"as_good_as": [1, 1]}, r"as_good_as is \[1, 1\]; list each once"),
        ({"as_good_as": [3]}, "as_good_as names 3, the length of 0 tokenizers in beside; it must"),
        ({"criterion": "class", "thresholds": [], "as_good_as": [1]}, "which knows no threshold"),
        ({"second": {"label": "others"}}, "path is None and altered None; give one of the two"),
        ({"second": {"label": "others", "path": "a.npz", "altered": "negative"}}, "give one of the two"),
        ({"second": {"label": "others", "altered": "faded"}}, "quarter_turn"),
        ({"beside": {"s9": "stage1"}}, "names 's9', which is no tokenizer"),
        ({"beside": {"tail": "stage1"}}, "names 'tail', which has several lengths"),
        ({"beside": {"s1": "stage2"}}, "adaptive_length.beside.s1 is 'stage2'; allowed: stage1"),
    ],
)
def test_mistakes_are_told(section: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        study_of(document(**section))


def test_a_threshold_by_another_tokenizer_needs_its_seeds() -> None:
    found = study_of(document(thresholds=[], as_good_as=[1, 2]))
    assert found.adaptive_length is not None
    assert (found.adaptive_length.scored, found.adaptive_length.matched) == ((), (2, 1))
    more = changed(document(as_good_as=[2]), "tokenizers.tail.seeds", [0, 1])
    with pytest.raises(ValueError, match="names 2, the length of 's2', which has no seed 1; tokenizers of several"):
        study_of(more)


def test_lengths_that_nobody_scores_are_not_shown() -> None:
    with pytest.raises(ValueError, match="shows lengths of tail/stage1, which nobody scores; scored: none, for"):
        study_of(without(document(), "adaptive_length"))
    with pytest.raises(
        ValueError, match=r"rows.1 shows lengths of s1/stage1, which nobody scores; scored: tail/stage1"
    ):
        study_of(document(beside={}))
    figure = {"row": ROWS[0], "seed": 7}
    with pytest.raises(ValueError, match=r"images_by_length.seed is 7, but nothing is trained with it"):
        study_of(changed(document(), "reporting.figures.images_by_length", figure))
    one = document(beside={"s1": "stage1"})
    with pytest.raises(ValueError, match=r"figures.token_attention.row shows lengths of s2/stage1, which nobody"):
        study_of(changed(one, "reporting.figures.token_attention", {"row": {**ROWS[1], "tokenizer": "s2"}}))
    with pytest.raises(ValueError, match="no tokenizer has lengths to choose from"):
        study_of(changed(tiny_document(), "adaptive_length", {"thresholds": [0.1]}))
