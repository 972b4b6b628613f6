rule adopt_tokenizer:
    """Released weights instead of a training; refused if they are not the model that the study names."""
    input:
        config="results/{study}/configs/released_tokenizer/{tokenizer}.yaml",
    output:
        model="results/{study}/tokenizers/{tokenizer}/seed{seed}/released/model.safetensors",
        config="results/{study}/tokenizers/{tokenizer}/seed{seed}/released/config.json",
        manifest="results/{study}/tokenizers/{tokenizer}/seed{seed}/released/manifest.json",
    log:
        "logs/{study}/adopt_tokenizer/{tokenizer}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/adopt_tokenizer/{tokenizer}-seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    shell:
        "python -m titok adopt tokenizer --config {input.config:q} --output {output.model:q} > {log} 2>&1"


rule adopt_generator:
    input:
        config="results/{study}/configs/released_generator/{generator}.yaml",
    output:
        model="results/{study}/generators/{generator}/seed{seed}/model.safetensors",
        config="results/{study}/generators/{generator}/seed{seed}/config.json",
        manifest="results/{study}/generators/{generator}/seed{seed}/manifest.json",
    log:
        "logs/{study}/adopt_generator/{generator}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/adopt_generator/{generator}-seed{seed}.tsv"
    wildcard_constraints:
        generator=one_of(targets.generators_by_origin(released=True)),
    conda:
        "../../environment.yml"
    threads: 1
    shell:
        "python -m titok adopt generator --config {input.config:q} --output {output.model:q} > {log} 2>&1"


rule adopt_vqgan:
    input:
        config="results/{study}/configs/released_vqgan/all.yaml",
    output:
        model="results/{study}/vqgan/model.safetensors",
        config="results/{study}/vqgan/config.json",
        manifest="results/{study}/vqgan/manifest.json",
    log:
        "logs/{study}/adopt_vqgan.log",
    benchmark:
        "logs/{study}/benchmarks/adopt_vqgan.tsv"
    wildcard_constraints:
        study=study.study if targets.vqgan_is_released() else NOTHING,
    conda:
        "../../environment.yml"
    threads: 1
    shell:
        "python -m titok adopt vqgan --config {input.config:q} --output {output.model:q} > {log} 2>&1"
