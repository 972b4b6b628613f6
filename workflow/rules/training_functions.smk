"""What the rules of trainings differ in: jobs (titok.config.training_jobs) say what a kind reads and where models lie."""

import shlex


def named(function, training):
    """Input function: what a function of `targets` says of a training's kind and job."""
    kind = training.kind
    return lambda wildcards: function(kind.kind, wildcards.get(kind.wildcard, "all"))


def files_of(training):
    """What a training reads, by name."""
    known = {
        "data": "results/{study}/data/train.index.npz",
        "vqgan": "results/{study}/vqgan/model.safetensors",
        "codes": targets.codes(),
        "stage1": "results/{study}/tokenizers/{tokenizer}/seed{seed}/stage1/model.safetensors",
        "alit_stage1": "results/{study}/tokenizers/{tokenizer}/seed{seed}/alit_stage1/model.safetensors",
        "critic": named(targets.critic, training),
        "encoder": named(targets.encoder, training),
        "tokens": lambda wildcards: targets.tokens_behind(
            wildcards.generator, wildcards.seed
        ),
    }
    config = f"results/{{study}}/configs/{training.kind.kind}/{training.job}.yaml"
    read = {"config": config, **{name: known[name] for name in training.kind.reads}}
    if training.scores_itself:
        read["milestones"] = named(targets.milestone_files, training)
    return read


def milestone_options(wildcards, input):
    """What a training reads that scores itself at milestones, as options of the command line."""
    named = zip(("--test", "--judge"), input.milestones)
    return shlex.join(word for pair in named for word in pair)


def seed_of(training):
    """Param function: the seed of a model, which classifiers have by their place and the study's one VQGAN has not."""

    def seed(wildcards):
        # Judge and critic differ by their seed, so that no loss ever sees the network that measures.
        name = wildcards.get("classifier")
        return targets.classifier_seed(name) if name else wildcards.get("seed", 0)

    return {"seed": seed} if training.has_own_seed else {}


def params_of(training):
    """What a rule has beside its files; Snakemake remembers values that depend on wildcards alone."""
    # Undeclared on purpose: Snakemake deletes a failed job's outputs, and training must survive that.
    state = f"results/{{study}}/training/{training.folder}"
    optional = {
        name: option(name)
        for name in ("critic", "codes", "encoder")
        if name in training.kind.reads
    }
    if training.scores_itself:
        optional["milestones"] = milestone_options
    return {"state": state, **seed_of(training), **optional}


def command_of(training):
    """The command line of a training. Another text of a rule's command would train everything again."""
    said = {
        "data": "--data {input.data:q}",
        "vqgan": "--vqgan {input.vqgan:q}",
        "codes": "{params.codes}",
        "stage1": "--init {input.stage1:q}",
        "alit_stage1": "--init {input.alit_stage1:q}",
        "critic": "{params.critic}",
        "encoder": "{params.encoder}",
        "tokens": "--tokens {input.tokens:q}",
    }
    words = [
        "python -m titok launch {resources.launch}",
        f"train {training.kind.kind}",
        "--config {input.config:q} --execution {resources.execution:q}",
        *(said[name] for name in training.kind.reads),
        "--seed",
        "{params.seed:q}" if training.has_own_seed else "{wildcards.seed:q}",
        *(["{params.milestones}"] if training.scores_itself else []),
        *(["--workers {resources.workers}"] if "data" in training.kind.reads else []),
        "--state {params.state:q} --output {output.model:q} > {log} 2>&1",
    ]
    return " ".join(words)


def constraints_of(training):
    """Wildcards that only the study's own jobs of a rule fit."""
    names = training.names(study)
    if training.job == "all":
        return {"study": study.study if names else NOTHING}
    return {training.kind.wildcard: one_of(names)}
