rule score_throughput:
    """Sampling speed of one device with nothing else on it, in one sitting of several, and the operations of one image."""
    input:
        config="results/{study}/configs/throughput/{sampler}.yaml",
        generator="results/{study}/generators/{generator}/seed{seed}/model.safetensors",
        tokenizer=tokenizer_of,
    output:
        score="results/{study}/scores/throughput/{generator}/{sampler}/seed{seed}-sitting{sitting}.json",
    log:
        "logs/{study}/score_throughput/{generator}-{sampler}-seed{seed}-sitting{sitting}.log",
    benchmark:
        "logs/{study}/benchmarks/score_throughput/{generator}-{sampler}-seed{seed}-sitting{sitting}.tsv"
    # Every speed once, then every speed again: what changes on a machine with time shall not lie between two models.
    priority: lambda wildcards: -int(wildcards.sitting)
    conda:
        "../../environment.yml"
    # More than any machine has, which Snakemake makes all of them: no other job of this workflow may run beside it.
    threads: 4096
    resources:
        **takes("throughput"),
    params:
        subject=lambda wildcards: targets.subject(
            generator=wildcards.generator,
            sampler=wildcards.sampler,
            seed=wildcards.seed,
            sitting=wildcards.sitting,
        ),
    shell:
        "python -m titok launch {resources.launch}"
        " score throughput --config {input.config:q} --generator {input.generator:q} --tokenizer {input.tokenizer:q}"
        " --subject {params.subject:q} --output {output.score:q} > {log} 2>&1"
