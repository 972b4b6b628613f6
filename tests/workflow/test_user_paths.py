"""Names that people give their study files reach every command whole, and no shell.

Run: pytest tests/workflow/test_user_paths.py
"""

from __future__ import annotations

import json

import pytest
from workflow.sandbox import Sandbox

pytestmark = pytest.mark.workflow

NAMES = ("-x.yaml", "a: {b} $(touch hacked) ünï.yaml", """it's a & "b";*.yaml""")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.long
@pytest.mark.usefixtures("without_server")
def test_jobs_read_the_study_whatever_it_is_called(empty: Sandbox, name: str) -> None:
    empty.study_file.rename(empty.folder / name)
    wanted = "results/tiny/configs/data/all.yaml", "results/tiny/models.json"
    done = empty.snakemake(*wanted, "--cores", 1, "--configfile", f"./{name}", study=None, torch=True)
    assert done.status == 0, done.said
    assert all((empty.folder / path).stat().st_size for path in wanted)
    claimed = json.loads((empty.results / "study.json").read_text())["study_file"]
    assert claimed.removeprefix("./") == name
    assert not (empty.folder / "hacked").exists()


@pytest.mark.parametrize("rule", ["make_table", "make_figure", "judge_checks", "judge_claims", "write_report"])
def test_commands_hold_it_as_one_word(empty: Sandbox, rule: str) -> None:
    """Planned only, for these come after hours of work."""
    empty.study_file.rename(empty.folder / "it's a & b.yaml")
    done = empty.dry_run("--printshellcmds", "--configfile", "./it's a & b.yaml", study=None)
    assert done.status == 0, done.said
    block = done.said.partition(f"rule {rule}:\n")[2].partition("Shell command: ")[2].partition("\n\n")[0]
    assert """--study 'it'"'"'s a & b.yaml' """ in block
