"""The ledger in graders' forms: nothing lost, nothing judged anew, and numbers one can add up by hand.

Run: pytest tests/reporting/test_graders.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from reporting.simulated import PAPER, simulate

from titok.cli import main
from titok.commands.claims import scope_of
from titok.config.claims import load_ledger
from titok.reporting.claims import judge_claims
from titok.reporting.collect import read_scores
from titok.reporting.evidence import Evidence
from titok.reporting.finding import Finding
from titok.reporting.graders import FORMS, core_bench, mlrc, rubric
from titok.reporting.paper import read_paper

LEDGER = load_ledger(PAPER.with_name("claims.yaml"))


def finding(identifier: str, verdict: Any, where: str = "Table 1", **more: Any) -> Finding:
    facts = {"text": f"Says {identifier}.", "scope": "any", "needs": "training", "expression": "1 < 2"}
    return Finding(id=identifier, verdict=verdict, where=where, **{**facts, **more})


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    study = simulate(tmp_path_factory.mktemp("published"), "published")
    scores = read_scores(study.scores)
    evidence = Evidence(read_paper(PAPER), {}, scores, study.study.reporting, scope_of(study.study))
    return judge_claims(LEDGER.claims, evidence)


def test_a_tree_is_scored_by_weight() -> None:
    """Abstract: 3 of 4; Table 1: 0 of 2; together 3 of 6."""
    tree = rubric(
        [
            finding("a", "agrees", "abstract", weight=3, value=2.0, low=1.9, high=2.1, expected=2.0, tolerance=0.5),
            finding("b", "differs", "abstract"),
            finding("c", "undecided", weight=2, because="2 seeds; at least 3 are needed"),
        ]
    )
    assert (tree["weight"], tree["score"], tree["valid_score"]) == (6, 0.5, False)
    abstract, table = tree["sub_tasks"]
    assert (abstract["weight"], abstract["score"], abstract["valid_score"]) == (4, 0.75, True)
    assert (table["weight"], table["score"], table["valid_score"]) == (2, 0.0, False)
    assert [leaf["score"] for leaf in abstract["sub_tasks"]] == [1.0, 0.0]
    assert abstract["sub_tasks"][0]["explanation"] == "agrees; found 2 [1.9, 2.1]; expected 2 ± 0.5"
    assert table["sub_tasks"][0]["explanation"] == "undecided; 2 seeds; at least 3 are needed"


def test_every_claim_is_a_leaf_of_the_tree(findings: list[Finding]) -> None:
    tree = rubric(findings)
    leaves = [leaf for place in tree["sub_tasks"] for leaf in place["sub_tasks"]]
    assert sorted(leaf["id"] for leaf in leaves) == sorted(found.id for found in findings)
    assert all(leaf["task_category"] == "Result Analysis" and leaf["sub_tasks"] == [] for leaf in leaves)
    assert all(node["task_category"] is None for node in [tree, *tree["sub_tasks"]])
    total = sum(found.weight for found in findings)
    agreeing = sum(found.weight for found in findings if found.verdict == "agrees")
    assert tree["weight"] == total
    assert tree["score"] == pytest.approx(agreeing / total)
    assert len({node["id"] for node in [tree, *tree["sub_tasks"], *leaves]}) == 1 + len(tree["sub_tasks"]) + len(leaves)


def test_answers_lie_in_their_intervals(findings: list[Finding]) -> None:
    found = core_bench(findings)
    [answers] = found["results"]
    of = found["prediction_intervals"]["of"]
    numbers = {question: answer for question, answer in answers.items() if not isinstance(answer, str)}
    assert of.keys() == numbers.keys()
    assert all(of[question]["low"] <= answer <= of[question]["high"] for question, answer in numbers.items())
    gfid = "gfid-l-32: TiTok-L-32 generates with gFID 2.77."
    # A set of images by 1 % of the number, and the paper's own: the root of 2.
    assert of[gfid]["high"] - answers[gfid] == pytest.approx(0.01 * answers[gfid] * 2**0.5, rel=1e-3)
    assert len(answers) + len(found["not_answered"]) == len(findings)
    assert found["not_answered"]["gfid-maskgit: MaskGIT on VQGAN codes generates with gFID 6.18."].startswith(
        "not run: "
    )


def test_a_number_without_an_interval_says_so() -> None:
    found = core_bench([finding("a", "undecided", value=2.0, seeds=1), finding("b", "agrees"), finding("c", "not run")])
    assert found["results"] == [{"a: Says a.": 2.0, "b: Says b.": "yes"}]
    assert found["prediction_intervals"]["of"] == {"a: Says a.": None}
    assert found["not_answered"] == {"c: Says c.": "not run: "}


def test_the_summary_has_the_challenges_sections(findings: list[Finding]) -> None:
    text = mlrc(findings, LEDGER.account)
    heads = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert heads == [
        "Scope of Reproducibility",
        "Methodology",
        "Results",
        "What was easy",
        "What was difficult",
        "Communication with original authors",
    ]
    for statements in (LEDGER.account.easy, LEDGER.account.difficult, LEDGER.account.authors):
        assert len(statements) >= 3
        assert all(f"- {statement}" in text for statement in statements)
    assert "- TiTok-S-128 generates with gFID 1.97. *agrees* (found 1.974 [1.946, 2.002], expected 1.97 ± 0.1)" in text
    assert "What differs" not in text
    assert len(text) < 6000, "one page"


def test_what_differs_is_told() -> None:
    text = mlrc([finding("a", "differs", value=3.0, low=2.9, high=3.1, expected=2.0, tolerance=0.1)], LEDGER.account)
    assert "What differs:\n\n- Says a. *differs* (found 3 [2.9, 3.1], expected 2 ± 0.1)" in text


@pytest.mark.parametrize("form", FORMS)
def test_the_command_writes_each_form(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ending, wrong = (".md", ".json") if form == "mlrc" else (".json", ".md")
    facts = tmp_path / "facts.json"
    known = {"l-32": {"num_latent_tokens": 32.0}, "vqgan": {"bits_per_image": 2560.0}}
    facts.write_text(json.dumps(known))
    options = ["claims", "--facts", str(facts), "--format", form]
    main(options)
    printed = capsys.readouterr().out
    main([*options, "--output", str(tmp_path / f"out{ending}")])
    written = (tmp_path / f"out{ending}").read_text()
    assert "An image of 256 x 256 pixels is represented by 32 discrete tokens." in written
    if form == "mlrc":
        assert written == printed.removesuffix("\n")
    else:
        assert json.loads(written) == json.loads(printed)
    assert [path.name for path in tmp_path.glob("out*")] == [f"out{ending}"], "one form, one file"
    with pytest.raises(SystemExit, match=rf"--format {form} needs the ending {ending}"):
        main([*options, "--output", str(tmp_path / f"other{wrong}")])


def test_the_ledger_is_no_markdown(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"--format ledger needs the ending \.json"):
        main(["claims", "--output", str(tmp_path / "claims.md")])


def test_every_judged_claim_says_what_would_refute_it(findings: list[Finding]) -> None:
    for found in findings:
        claim = next(claim for claim in LEDGER.claims if claim.id == found.id)
        assert bool(found.refuted_by) == (claim.unknown is None), found.id
    by_id = {found.id: found.refuted_by for found in findings}
    assert by_id["rfid-l-32"] == "a 95 % interval outside of 2.21 ± 0.05"
    assert by_id["guidance-helps"].startswith("a 95 % interval in which nowhere ours('table1/titok-l-32', 'gfid'")
