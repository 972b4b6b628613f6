rule extract_codes_share:
    """One of several jobs that extract proxy codes; what they made is kept beside the array, in parts."""
    input:
        config="results/{study}/configs/codes/all.yaml",
        data="results/{study}/data/train.index.npz",
        vqgan="results/{study}/vqgan/model.safetensors",
    output:
        "results/{study}/codes/shares/{share}-of-{shares}.txt",
    log:
        "logs/{study}/extract_codes_share/{share}-of-{shares}.log",
    benchmark:
        "logs/{study}/benchmarks/extract_codes_share/{share}-of-{shares}.tsv"
    wildcard_constraints:
        share=r"\d+",
        shares=r"\d+",
    conda:
        "../../environment.yml"
    threads: takes("codes")["cpus_per_task"]
    resources:
        **takes("codes"),
    params:
        array="results/{study}/codes/train.npy",
    shell:
        "python -m titok launch {resources.launch}"
        " codes extract --config {input.config:q} --data {input.data:q} --vqgan {input.vqgan:q}"
        " --workers {resources.workers} --part {wildcards.share:q}/{wildcards.shares:q}"
        " --output {params.array:q} > {output:q} 2> {log}"


rule extract_codes:
    """Proxy codes of every declared view, in one array; parts that are there already are checked and joined."""
    input:
        config="results/{study}/configs/codes/all.yaml",
        data="results/{study}/data/train.index.npz",
        vqgan="results/{study}/vqgan/model.safetensors",
        shares=targets.code_shares(),
    output:
        codes="results/{study}/codes/train.npy",
        facts="results/{study}/codes/train.json",
    log:
        "logs/{study}/extract_codes.log",
    benchmark:
        "logs/{study}/benchmarks/extract_codes.tsv"
    conda:
        "../../environment.yml"
    threads: takes("codes")["cpus_per_task"]
    resources:
        **takes("codes"),
    shell:
        "python -m titok launch {resources.launch}"
        " codes extract --config {input.config:q} --data {input.data:q} --vqgan {input.vqgan:q}"
        " --workers {resources.workers} --output {output.codes:q} > {log} 2>&1"


rule extract_tokens:
    """Images to token ids, once per tokenizer."""
    input:
        config="results/{study}/configs/tokens/all.yaml",
        data="results/{study}/data/train.index.npz",
        tokenizer="results/{study}/tokenizers/{tokenizer}/seed{seed}/{stage}/model.safetensors",
    output:
        tokens="results/{study}/tokens/{tokenizer}/seed{seed}/{stage}.npz",
    log:
        "logs/{study}/extract_tokens/{tokenizer}-seed{seed}-{stage}.log",
    benchmark:
        "logs/{study}/benchmarks/extract_tokens/{tokenizer}-seed{seed}-{stage}.tsv"
    conda:
        "../../environment.yml"
    threads: takes("tokens")["cpus_per_task"]
    resources:
        **takes("tokens"),
    shell:
        "python -m titok launch {resources.launch}"
        " tokens --config {input.config:q} --data {input.data:q} --tokenizer {input.tokenizer:q}"
        " --workers {resources.workers} --output {output.tokens:q} > {log} 2>&1"


rule bring_in_external_tokens:
    """Ids that another program made of the training images, checked and kept as ours are."""
    input:
        config="results/{study}/configs/external_tokens/{external}.yaml",
        data="results/{study}/data/train.index.npz",
        ids=lambda wildcards: study.external[wildcards.external].tokens.path,
    output:
        tokens="results/{study}/tokens/{external}/seed0/external.npz",
    log:
        "logs/{study}/bring_in_external_tokens/{external}.log",
    benchmark:
        "logs/{study}/benchmarks/bring_in_external_tokens/{external}.tsv"
    wildcard_constraints:
        external=one_of(name for name, entry in study.external.items() if entry.tokens),
    conda:
        "../../environment.yml"
    threads: takes("external_tokens")["cpus_per_task"]
    resources:
        **takes("external_tokens"),
    shell:
        "python -m titok launch {resources.launch}"
        " external-tokens --config {input.config:q} --data {input.data:q} --ids {input.ids:q}"
        " --output {output.tokens:q} > {log} 2>&1"


use rule extract_tokens as extract_vqgan_codes with:
    # The 2D VQGAN's codes as tokens of a generator: MaskGIT as it was published.
    input:
        config="results/{study}/configs/tokens/all.yaml",
        data="results/{study}/data/train.index.npz",
        tokenizer="results/{study}/vqgan/model.safetensors",
    output:
        tokens="results/{study}/tokens/vqgan.npz",
    log:
        "logs/{study}/extract_vqgan_codes.log",
    benchmark:
        "logs/{study}/benchmarks/extract_vqgan_codes.tsv"
