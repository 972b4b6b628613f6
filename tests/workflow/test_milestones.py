"""Scores while training in the workflow: trainings wait for test images and judge only where a study wants that.

Run: pytest tests/workflow/test_milestones.py
"""

from __future__ import annotations

import pytest
from config.studies import changed, study_of, tiny_document
from workflow.sandbox import Sandbox

from titok.config.load import ConfigError, load_study
from titok.config.targets import Targets

pytestmark = pytest.mark.workflow
STAGE1 = "results/tiny/tokenizers/s1/seed0/stage1/model.safetensors"
MILESTONES = {"milestone_steps": 20, "milestone_images": 70}


def test_without_them_nothing_of_the_test_images_is_read(empty: Sandbox) -> None:
    plan = empty.plan("--printshellcmds", STAGE1)
    assert "--test" not in plan.text
    assert "--judge" not in plan.text


def test_with_them_the_judge_is_trained_first(empty: Sandbox) -> None:
    training = tiny_document()["defaults"]["tokenizer"]["stage1"]["training"]
    empty.write_study(changed(tiny_document(), "defaults.tokenizer.stage1.training", training | MILESTONES))
    plan = empty.plan("--printshellcmds", STAGE1)
    judge = "results/tiny/classifiers/judge/model.safetensors"
    assert f"--test results/tiny/data/test.index.npz --judge {judge} " in plan.text
    assert judge in plan.outputs


def test_how_scores_are_made_is_none_of_a_trainings_business_without_them() -> None:
    plain, other = tiny_document(), changed(tiny_document(), "evaluation.batch_size", 7)
    assert Targets(study_of(plain)).settings("stage1", "s1") == Targets(study_of(other)).settings("stage1", "s1")


@pytest.mark.parametrize(
    ("key", "training", "words"),
    [
        ("vqgan.training", {"milestone_images": 5}, "milestone_images is 5, but milestone_steps is null"),
        ("defaults.classifier.training", MILESTONES, "but a classifier reconstructs no images"),
    ],
)
def test_mistakes_are_told(empty: Sandbox, key: str, training: dict[str, int], words: str) -> None:
    document = tiny_document()
    section = document
    for part in key.split("."):
        section = section[part]
    empty.write_study(changed(document, key, section | training))
    with pytest.raises(ConfigError, match=words):
        load_study(empty.study_file)
