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


rule sample_ids:
    """The same without images: ids for the decoder of another program."""
    input:
        config="results/{study}/configs/sample/{sampler}.yaml",
        generator="results/{study}/generators/{generator}/seed{seed}/model.safetensors",
    output:
        ids="results/{study}/ids/{generator}/{sampler}/seed{seed}.npz",
        manifest="results/{study}/ids/{generator}/{sampler}/seed{seed}.json",
    log:
        "logs/{study}/sample_ids/{generator}-{sampler}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/sample_ids/{generator}-{sampler}-seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: takes("sample")["cpus_per_task"]
    resources:
        **takes("sample"),
    shell:
        "python -m titok launch {resources.launch}"
        " sample --config {input.config:q} --execution {resources.execution:q}"
        " --generator {input.generator:q} --seed {wildcards.seed:q} --output {output.ids:q} > {log} 2>&1"
