"""Reads and checks the study before anything is planned; names what the rules may meet."""

import shlex
import signal
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

from titok.errors import ScoreError
from titok.config.owner import OwnerError, check_owner, write_owner
from titok.config.jobs import JOBS
from titok.config.load import ConfigError, load_study
from titok.config.paper_targets import TARGET_NAMES, NoSuchTarget, target_files
from titok.config.rows import STAGES
from titok.config.shipped import shipped
from titok.config.snakemake_resources import KEYS, snakemake_resources
from titok.config.study_file import study_file
from titok.config.targets import Targets

from titok.evaluation.foreseen import require_enough_images
from titok.runtime.fork_server import can_serve, start_server
from titok.runtime.gpus import visible_gpus

try:
    # What `--config` says by itself: a study given as a configfile brings a key `study`, too, its name.
    STUDY_FILE = study_file(
        workflow.configfiles, workflow.config_settings.config, Path.cwd()
    )
    study = load_study(STUDY_FILE)
    check_owner(Path("results") / study.study, STUDY_FILE)
except (ConfigError, OwnerError) as error:
    raise WorkflowError(str(error)) from None

if workflow.is_main_process:
    try:
        require_enough_images(study)
    except ScoreError as error:
        raise WorkflowError(f"{STUDY_FILE}: {error}") from None

targets = Targets(study)

# Snakemake has `nodes` where jobs go to a batch system, which knows its machines. This one gives no more than it has.
ON_THIS_MACHINE = workflow.is_main_process and workflow.nodes is None
if ON_THIS_MACHINE and "gpus" not in workflow.global_resources:
    workflow.register_resource("gpus", len(visible_gpus()))

if workflow.remote_exec:
    # Slurm warns all of a job's processes before the time limit: the training shall save, Snakemake shall wait for it.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def takes(kind, job=None):
    """What jobs of a kind take, by the study's section `resources`.

    `execution` is among them, the settings that decide no result: Snakemake does not compare resources, so that other
    ones make nothing again. ``job`` names the document of settings, where no wildcard does.
    """
    wildcard = JOBS[kind].wildcard

    def execution(wildcards):
        return targets.execution(kind, job or wildcards.get(wildcard, "all"))

    def value(key):
        return lambda wildcards, attempt: snakemake_resources(
            study,
            kind,
            wildcards.get(wildcard, "all"),
            attempt=attempt,
            gpu_limit=workflow.global_resources.get("gpus").value,
            core_limit=workflow.cores if ON_THIS_MACHINE else None,
            in_batch_job=workflow.remote_exec,
        )[key]

    return {"execution": execution, **{key: value(key) for key in KEYS}}


# A wildcard that must match this matches nothing.
NOTHING = "(?!)"


def one_of(names):
    """Regular expression for one of these names; where there are none, for nothing."""
    return "|".join(names) or NOTHING


wildcard_constraints:
    study=study.study,
    tokenizer="[a-z0-9][a-z0-9_-]*",
    generator="[a-z0-9][a-z0-9_-]*",
    sampler="[a-z0-9][a-z0-9_-]*",
    classifier="[a-z0-9][a-z0-9_-]*",
    stage=one_of(STAGES),
    seed=r"\d+",
    sitting=r"\d+",
    kind="[a-z0-9_]+",
    name="[a-z0-9][a-z0-9_-]*",


def mark_results():
    """Marks results/<study> as this study file's, so that another one cannot overwrite it by accident."""
    write_owner(Path("results") / study.study, STUDY_FILE)
    targets.sums.remember()


def study_path(wildcards):
    """Param: the study file. A function, for Snakemake would look for wildcards in a name with braces."""
    return STUDY_FILE


def from_project(path):
    """Input function: a file that comes with the project, also where the workflow runs in another folder."""
    return lambda wildcards: str(shipped(path))


def lift_rate_limit():
    """Starts jobs of this machine as cores are free, without a limit per second.

    Under one, each job that starts wakes Snakemake's scheduler once a second from then on (snakemake#2967): after 300
    jobs that takes a third of a core.
    """
    if ON_THIS_MACHINE:
        workflow.scheduler.job_rate_limiter = None


def start_fork_server():
    """Saves the jobs of this machine their imports; with GPUs, or in environments of their own, they start as always."""
    own_environment = (
        DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
    )
    if ON_THIS_MACHINE and not visible_gpus() and not own_environment and can_serve():
        start_server(study.arithmetic)


def option(*names):
    """Param: `--name FILE` for each name of which the job has an input; ready for the shell."""

    def words(wildcards, input):
        line = []
        for name in names:
            files = [input[name]] if isinstance(input[name], str) else input[name]
            line += [f"--{name}", *files] if files else []
        return shlex.join(line)

    return words


def judge():
    """Path of the classifier whose features the scores use (empty with Inception)."""
    name = study.evaluation.extractor.classifier
    return (
        [f"results/{study.study}/classifiers/{name}/model.safetensors"] if name else []
    )


def tokenizer_of(wildcards):
    """Path of the tokenizer behind a generator: the one whose tokens it learns and whose decoder shows them."""
    return targets.tokenizer_behind(wildcards.generator, wildcards.seed)


def probed_model(wildcards):
    """Path of the tokenizer whose latents are probed."""
    return targets.probed_model(wildcards.tokenizer, wildcards.seed)


def behind_target(name):
    """Input function: the files behind a table or figure of the paper; other studies may not have it."""

    def files(wildcards):
        try:
            return target_files(targets, name)
        except NoSuchTarget as error:
            raise WorkflowError(str(error)) from None

    return files
