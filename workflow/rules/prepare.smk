# Shards are written beside the index and are no declared outputs: Snakemake deletes the outputs of a killed job, and what
# is finished must survive that. The index, which is declared, is written last.


rule plan_data:
    input:
        config="results/{study}/configs/data/all.yaml",
    output:
        head="results/{study}/data/preparation/{split}.plan.json",
        rows="results/{study}/data/preparation/{split}.plan.npy",
    log:
        "logs/{study}/plan_data/{split}.log",
    benchmark:
        "logs/{study}/benchmarks/plan_data/{split}.tsv"
    wildcard_constraints:
        split="train|test",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        # ImageNet's training archive has 148 GB to sum.
        runtime=240,
    params:
        directory=lambda wildcards: f"results/{wildcards.study}/data",
    shell:
        "python -m titok prepare plan --config {input.config:q}"
        " --output {params.directory:q} --split {wildcards.split:q}"
        " > {log} 2>&1"


rule prepare_part:
    input:
        config="results/{study}/configs/data/all.yaml",
        head="results/{study}/data/preparation/{split}.plan.json",
        rows="results/{study}/data/preparation/{split}.plan.npy",
    output:
        note="results/{study}/data/preparation/{split}.part-{part}-of-{parts}.json",
    log:
        "logs/{study}/prepare_part/{split}-{part}-of-{parts}.log",
    benchmark:
        "logs/{study}/benchmarks/prepare_part/{split}-{part}-of-{parts}.tsv"
    wildcard_constraints:
        split="train|test",
        part=r"\d+",
        parts=r"\d+",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        # One core decodes ImageNet in a few hours; the rest is for slow disks.
        runtime=lambda wildcards: 60 + 900 // int(wildcards.parts),
    params:
        directory=lambda wildcards: f"results/{wildcards.study}/data",
    shell:
        "python -m titok prepare part --config {input.config:q}"
        " --output {params.directory:q} --split {wildcards.split:q}"
        " --part {wildcards.part:q}/{wildcards.parts:q} --jobs {threads:q} > {log} 2>&1"


rule merge_data:
    input:
        config="results/{study}/configs/data/all.yaml",
        head="results/{study}/data/preparation/{split}.plan.json",
        rows="results/{study}/data/preparation/{split}.plan.npy",
        notes=expand(
            "results/{{study}}/data/preparation/{{split}}.part-{part}-of-{parts}.json",
            part=range(1, study.dataset.parts + 1),
            parts=study.dataset.parts,
        ),
    output:
        index="results/{study}/data/{split}.index.npz",
        manifest="results/{study}/data/{split}.manifest.json",
    log:
        "logs/{study}/merge_data/{split}.log",
    benchmark:
        "logs/{study}/benchmarks/merge_data/{split}.tsv"
    wildcard_constraints:
        split="train|test",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        directory=lambda wildcards: f"results/{wildcards.study}/data",
    shell:
        "python -m titok prepare merge --config {input.config:q}"
        " --output {params.directory:q} --split {wildcards.split:q}"
        " > {log} 2>&1"
