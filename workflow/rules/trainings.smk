"""Every training: one rule, written once."""

from titok.config.training_rules import training_rules


def train(training):
    """Adds one. A function, for Snakemake reads a command again when it runs it, and a loop's variable is another then."""

    rule:
        name:
            training.name
        input:
            **files_of(training),
        output:
            model=f"results/{{study}}/{training.folder}/model.safetensors",
            config=f"results/{{study}}/{training.folder}/config.json",
            metrics=f"results/{{study}}/{training.folder}/metrics.jsonl",
            manifest=f"results/{{study}}/{training.folder}/manifest.json",
        log:
            f"logs/{{study}}/{training.log}.log",
        benchmark:
            f"logs/{{study}}/benchmarks/{training.log}.tsv"
        wildcard_constraints:
            **constraints_of(training),
        conda:
            "../../environment.yml"
        threads: takes(training.kind.kind)["cpus_per_task"]
        resources:
            **takes(training.kind.kind),
        params:
            **params_of(training),
        shell:
            command_of(training)


for training in training_rules():
    train(training)
