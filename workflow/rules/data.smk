rule write_config:
    """The resolved settings of one job. Written again when one of those changes that decide its result, which makes its
    rule run again; the others may be older than the study, so that jobs are told them by `--execution`.
    """
    output:
        "results/{study}/configs/{kind}/{name}.yaml",
    log:
        "logs/{study}/write_config/{kind}/{name}.log",
    benchmark:
        "logs/{study}/benchmarks/write_config/{kind}/{name}.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    params:
        study_file=study_path,
        settings=lambda wildcards: targets.settings(wildcards.kind, wildcards.name),
    shell:
        "python -m titok resolve {params.study_file:q} {wildcards.kind:q} {wildcards.name:q}"
        " --output {output:q} > {log} 2>&1"


rule train_classifier:
    input:
        config="results/{study}/configs/classifier/{classifier}.yaml",
        data="results/{study}/data/train.index.npz",
    output:
        model="results/{study}/classifiers/{classifier}/model.safetensors",
        config="results/{study}/classifiers/{classifier}/config.json",
        metrics="results/{study}/classifiers/{classifier}/metrics.jsonl",
        manifest="results/{study}/classifiers/{classifier}/manifest.json",
    log:
        "logs/{study}/train_classifier/{classifier}.log",
    benchmark:
        "logs/{study}/benchmarks/train_classifier/{classifier}.tsv"
    conda:
        "../../environment.yml"
    threads: takes("classifier")["cpus_per_task"]
    resources:
        **takes("classifier"),
    params:
        # Undeclared on purpose: Snakemake deletes a failed job's outputs, and training must survive that.
        state="results/{study}/training/classifiers/{classifier}",
        # Judge and critic differ by their seed, so that no loss ever sees the network that measures.
        seed=lambda wildcards: targets.classifier_seed(wildcards.classifier),
    shell:
        "python -m titok launch {resources.launch}"
        " train classifier --config {input.config:q} --execution {resources.execution:q}"
        " --data {input.data:q} --seed {params.seed:q}"
        " --workers {resources.workers} --state {params.state:q} --output {output.model:q} > {log} 2>&1"
