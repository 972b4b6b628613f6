rule score_costs:
    """Operations of a tokenizer, and speed and memory of one device with nothing else on it."""
    input:
        config="results/{study}/configs/costs/all.yaml",
        tokenizer="results/{study}/tokenizers/{tokenizer}/seed{seed}/{stage}/model.safetensors",
    output:
        score="results/{study}/scores/costs/{tokenizer}/{stage}/seed{seed}.json",
    log:
        "logs/{study}/score_costs/{tokenizer}-{stage}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/score_costs/{tokenizer}-{stage}-seed{seed}.tsv"
    conda:
        "../../environment.yml"
    # As for sampling speeds: no other job of this workflow may run beside it.
    threads: 4096
    resources:
        **takes("costs"),
    params:
        subject=lambda wildcards: targets.subject(
            tokenizer=wildcards.tokenizer, stage=wildcards.stage, seed=wildcards.seed
        ),
    shell:
        "python -m titok launch {resources.launch}"
        " score costs --config {input.config:q} --model {input.tokenizer:q}"
        " --subject {params.subject:q} --output {output.score:q} > {log} 2>&1"


use rule score_costs as score_costs_vqgan with:
    input:
        config="results/{study}/configs/costs/all.yaml",
        tokenizer="results/{study}/vqgan/model.safetensors",
    output:
        score="results/{study}/scores/costs/vqgan.json",
    log:
        "logs/{study}/score_costs_vqgan.log",
    benchmark:
        "logs/{study}/benchmarks/score_costs_vqgan.tsv"
    params:
        subject=lambda wildcards: targets.vqgan_subject(),


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
