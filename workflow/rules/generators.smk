rule train_generator:
    """MaskGIT on the tokens (paper section 3.3)."""
    input:
        config="results/{study}/configs/generator/{generator}.yaml",
        tokens=tokens_of,
    output:
        model="results/{study}/generators/{generator}/seed{seed}/model.safetensors",
        config="results/{study}/generators/{generator}/seed{seed}/config.json",
        metrics="results/{study}/generators/{generator}/seed{seed}/metrics.jsonl",
        manifest="results/{study}/generators/{generator}/seed{seed}/manifest.json",
    log:
        "logs/{study}/train_generator/{generator}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/train_generator/{generator}-seed{seed}.tsv"
    wildcard_constraints:
        generator=one_of(targets.generators_by_origin(released=False)),
    conda:
        "../../environment.yml"
    threads: takes("generator")["cpus_per_task"]
    resources:
        **takes("generator"),
    params:
        state="results/{study}/training/generators/{generator}/seed{seed}",
    shell:
        "python -m titok launch {resources.launch} train generator"
        " --config {input.config:q} --execution {resources.execution:q}"
        " --tokens {input.tokens:q}"
        " --seed {wildcards.seed:q} --state {params.state:q} --output {output.model:q} > {log} 2>&1"


rule sample_generator:
    """Class-conditional samples; also measures images per second, de-tokenization included."""
    input:
        config="results/{study}/configs/sample/{sampler}.yaml",
        generator="results/{study}/generators/{generator}/seed{seed}/model.safetensors",
        tokenizer=tokenizer_of,
    output:
        samples="results/{study}/samples/{generator}/{sampler}/seed{seed}.npz",
        manifest="results/{study}/samples/{generator}/{sampler}/seed{seed}.json",
    log:
        "logs/{study}/sample_generator/{generator}-{sampler}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/sample_generator/{generator}-{sampler}-seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: takes("sample")["cpus_per_task"]
    resources:
        **takes("sample"),
    shell:
        "python -m titok launch {resources.launch}"
        " sample --config {input.config:q} --execution {resources.execution:q}"
        " --generator {input.generator:q} --tokenizer {input.tokenizer:q}"
        " --seed {wildcards.seed:q} --output {output.samples:q} > {log} 2>&1"
