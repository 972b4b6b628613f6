"""A finished study as an RO-Crate: one zip file that says what is in it, what made it, and from what.

Research Object Crates (https://w3id.org/ro/crate) are what repositories such as Zenodo and WorkflowHub read. This one
follows the profile of workflow runs: the workflow, one action that ran it, its settings and its results.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from titok.errors import ScoreError
from titok.runtime.files import atomic_path, read_json
from titok.runtime.system_names import is_hidden

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

PROFILE = "https://w3id.org/ro/wfrun/workflow/0.5"
LICENCES = {"Apache-2.0": "https://spdx.org/licenses/Apache-2.0"}
RESULTS = ("report.html", "checks.json", "claims.json", "claims.md", "models.json", "verdict.txt", "study.json")
FOLDERS = {
    "tables": "the paper's tables",
    "figures": "the paper's figures, each with its data",
    "scores": "score records, each with its protocol and provenance",
    "configs": "resolved settings of every job",
}
LOGS = ("manifest.json", "metrics.jsonl", "config.json")
"""Of every training; its weights only when asked for."""
WORKFLOW = ("Snakefile", "workflow", "config/paper.csv", "config/claims.yaml", "requirements.lock", "environment.yml")


def write_crate(
    results: Path,
    study_file: Path,
    output: Path,
    *,
    title: str,
    description: str,
    root: Path,
    with_models: bool = False,
) -> int:
    """Writes the crate of ``results`` (``results/<study>``) as a zip file; returns how many files it holds.

    ``root`` is the checkout that the workflow's files come from. ``with_models`` adds every model's weights.

    Raises:
        ScoreError: the study has no report yet, ``root`` is no checkout, or the library is not installed.
    """
    if not (results / "report.html").exists():
        raise ScoreError(f"{results} has no report.html: finish the study first (snakemake says what is missing)")
    if missing := [name for name in ("CITATION.cff", *WORKFLOW) if not (root / name).exists()]:
        raise ScoreError(
            f"{root} has no {', no '.join(missing)}: a crate holds the workflow, too; run titok crate in the project's "
            f"folder"
        )
    crate = _empty_crate()
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    crate.name, crate.description = title, description or title
    crate.license = LICENCES.get(citation["license"], citation["license"])
    crate.root_dataset["conformsTo"] = {"@id": PROFILE}
    crate.root_dataset["citation"] = _paper(crate, citation)
    workflow = crate.add_workflow(root / "Snakefile", "Snakefile", main=True, lang="snakemake")
    workflow["version"] = str(citation.get("version", ""))
    used = [crate.add_file(study_file, f"config/{study_file.name}", properties={"name": "the study's settings"})]
    for name in WORKFLOW[1:]:
        paths = [root / name] if (root / name).is_file() else _files(root / name)
        used += [crate.add_file(path, path.relative_to(root).as_posix()) for path in paths]
    made = list(_results(crate, results, with_models))
    crate.add_action(instrument=workflow, object=used, result=made, properties=_run_facts(results))
    # The library writes to names that end in .zip and nowhere else.
    with atomic_path(output) as temporary, tempfile.TemporaryDirectory(dir=output.parent) as folder:
        crate.write_zip(Path(folder) / "crate.zip").replace(temporary)
    return len([entity for entity in crate.data_entities if entity.type != "Dataset"])


def _empty_crate() -> ROCrate:
    try:
        from rocrate.rocrate import ROCrate
    except ImportError as error:
        raise ScoreError("crates need the package rocrate: pip install -e '.[crate]'") from error
    return ROCrate()


def _paper(crate: ROCrate, citation: dict[str, Any]) -> Any:
    """What the study reproduces, as the software's own citation names it."""
    from rocrate.model.contextentity import ContextEntity

    paper = citation["references"][0]
    identifier = f"https://doi.org/{paper['doi']}" if "doi" in paper else paper["url"]
    facts = {"@type": "ScholarlyArticle", "name": paper["title"], "url": paper.get("url", identifier)}
    return crate.add(ContextEntity(crate, identifier, properties=facts))


def _results(crate: ROCrate, results: Path, with_models: bool) -> Iterator[Any]:
    """Adds what the study made; yields each entity."""
    for name in RESULTS:
        if (results / name).exists():
            yield crate.add_file(results / name, f"results/{name}")
    for name, meaning in FOLDERS.items():
        for path in _files(results / name):
            place = f"results/{path.relative_to(results).as_posix()}"
            yield crate.add_file(path, place, properties={"description": meaning})
    wanted = (*LOGS, "model.safetensors") if with_models else LOGS
    for folder in ("tokenizers", "generators", "classifiers", "vqgan"):
        for path in _files(results / folder):
            if path.name in wanted:
                yield crate.add_file(path, f"results/{path.relative_to(results).as_posix()}")


def _files(folder: Path) -> Iterable[Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    return [path for path in found if not is_hidden(path.relative_to(folder))]


def _run_facts(results: Path) -> dict[str, Any]:
    """When the study was measured, by which code, on what; from its score records."""
    found = [read_json(path).get("provenance", {}) for path in _files(results / "scores") if path.suffix == ".json"]
    times = sorted(facts["created"] for facts in found if "created" in facts)
    commits = sorted({facts["code"]["commit"] for facts in found if facts.get("code", {}).get("commit")})
    completed = {"@id": "http://schema.org/CompletedActionStatus"}
    facts: dict[str, Any] = {"name": f"made {results.name}", "actionStatus": completed}
    if times:
        facts |= {"startTime": times[0], "endTime": times[-1]}
    if commits:
        facts["description"] = f"code at commit {', '.join(commits)}"
    return facts
