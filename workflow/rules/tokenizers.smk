rule train_vqgan:
    """The 2D tokenizer that supplies proxy codes."""
    input:
        config="results/{study}/configs/vqgan/all.yaml",
        data="results/{study}/data/train.index.npz",
        critic=critic(study.vqgan.losses) if study.vqgan else [],
        milestones=milestone_files("vqgan"),
    output:
        model="results/{study}/vqgan/model.safetensors",
        config="results/{study}/vqgan/config.json",
        metrics="results/{study}/vqgan/metrics.jsonl",
        manifest="results/{study}/vqgan/manifest.json",
    log:
        "logs/{study}/train_vqgan.log",
    benchmark:
        "logs/{study}/benchmarks/train_vqgan.tsv"
    wildcard_constraints:
        study=NOTHING if targets.vqgan_is_released() else study.study,
    conda:
        "../../environment.yml"
    threads: takes("vqgan")["cpus_per_task"]
    resources:
        **takes("vqgan"),
    params:
        seed=0,
        state="results/{study}/training/vqgan",
        critic=option("critic"),
        milestones=milestone_options,
    shell:
        "python -m titok launch {resources.launch}"
        " train vqgan --config {input.config:q} --execution {resources.execution:q}"
        " --data {input.data:q} {params.critic} --seed {params.seed:q}"
        " {params.milestones} --workers {resources.workers} --state {params.state:q}"
        " --output {output.model:q} > {log} 2>&1"


use rule train_vqgan as train_baseline with:
    # Another 2D VQGAN, for comparison only (paper Table 3c).
    input:
        config="results/{study}/configs/vqgan/{tokenizer}.yaml",
        data="results/{study}/data/train.index.npz",
        critic=lambda wildcards: critic(study.baselines[wildcards.tokenizer].losses),
        milestones=milestone_files("vqgan"),
    output:
        model="results/{study}/tokenizers/{tokenizer}/seed{seed}/vqgan_2d/model.safetensors",
        config="results/{study}/tokenizers/{tokenizer}/seed{seed}/vqgan_2d/config.json",
        metrics="results/{study}/tokenizers/{tokenizer}/seed{seed}/vqgan_2d/metrics.jsonl",
        manifest="results/{study}/tokenizers/{tokenizer}/seed{seed}/vqgan_2d/manifest.json",
    log:
        "logs/{study}/train_baseline/{tokenizer}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/train_baseline/{tokenizer}-seed{seed}.tsv"
    wildcard_constraints:
        tokenizer=one_of(study.baselines),
        study=study.study,
    params:
        seed=lambda wildcards: wildcards.seed,
        state="results/{study}/training/tokenizers/{tokenizer}/seed{seed}/vqgan_2d",
        critic=option("critic"),
        milestones=milestone_options,


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


rule train_stage1:
    """TiTok learns to predict the proxy codes (paper section 3.2)."""
    input:
        config="results/{study}/configs/stage1/{tokenizer}.yaml",
        data="results/{study}/data/train.index.npz",
        vqgan="results/{study}/vqgan/model.safetensors",
        codes=targets.codes(),
        milestones=milestone_files("stage1"),
    output:
        model="results/{study}/tokenizers/{tokenizer}/seed{seed}/stage1/model.safetensors",
        config="results/{study}/tokenizers/{tokenizer}/seed{seed}/stage1/config.json",
        metrics="results/{study}/tokenizers/{tokenizer}/seed{seed}/stage1/metrics.jsonl",
        manifest="results/{study}/tokenizers/{tokenizer}/seed{seed}/stage1/manifest.json",
    log:
        "logs/{study}/train_stage1/{tokenizer}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/train_stage1/{tokenizer}-seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: takes("stage1")["cpus_per_task"]
    resources:
        **takes("stage1"),
    params:
        state="results/{study}/training/tokenizers/{tokenizer}/seed{seed}/stage1",
        codes=option("codes"),
        milestones=milestone_options,
    shell:
        "python -m titok launch {resources.launch}"
        " train stage1 --config {input.config:q} --execution {resources.execution:q}"
        " --data {input.data:q} --vqgan {input.vqgan:q} {params.codes}"
        " --seed {wildcards.seed:q} {params.milestones}"
        " --workers {resources.workers} --state {params.state:q} --output {output.model:q} > {log} 2>&1"


rule train_stage2:
    """The decoder is fine-tuned to pixels."""
    input:
        config="results/{study}/configs/stage2/{tokenizer}.yaml",
        data="results/{study}/data/train.index.npz",
        stage1="results/{study}/tokenizers/{tokenizer}/seed{seed}/stage1/model.safetensors",
        critic=lambda wildcards: critic(
            study.tokenizers[wildcards.tokenizer].stage2.losses
        ),
        milestones=milestone_files("stage2"),
    output:
        model="results/{study}/tokenizers/{tokenizer}/seed{seed}/stage2/model.safetensors",
        config="results/{study}/tokenizers/{tokenizer}/seed{seed}/stage2/config.json",
        metrics="results/{study}/tokenizers/{tokenizer}/seed{seed}/stage2/metrics.jsonl",
        manifest="results/{study}/tokenizers/{tokenizer}/seed{seed}/stage2/manifest.json",
    log:
        "logs/{study}/train_stage2/{tokenizer}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/train_stage2/{tokenizer}-seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: takes("stage2")["cpus_per_task"]
    resources:
        **takes("stage2"),
    params:
        state="results/{study}/training/tokenizers/{tokenizer}/seed{seed}/stage2",
        critic=option("critic"),
        milestones=milestone_options,
    shell:
        "python -m titok launch {resources.launch}"
        " train stage2 --config {input.config:q} --execution {resources.execution:q}"
        " --data {input.data:q} --init {input.stage1:q} {params.critic}"
        " --seed {wildcards.seed:q} {params.milestones}"
        " --workers {resources.workers} --state {params.state:q} --output {output.model:q} > {log} 2>&1"


rule train_alit_stage1:
    """Codes of every length learn to predict the base's codes (docs/adaptive_length.md)."""
    input:
        config="results/{study}/configs/alit_stage1/{tokenizer}.yaml",
        data="results/{study}/data/train.index.npz",
        vqgan="results/{study}/vqgan/model.safetensors",
        milestones=milestone_files("alit_stage1"),
    output:
        model="results/{study}/tokenizers/{tokenizer}/seed{seed}/alit_stage1/model.safetensors",
        config="results/{study}/tokenizers/{tokenizer}/seed{seed}/alit_stage1/config.json",
        metrics="results/{study}/tokenizers/{tokenizer}/seed{seed}/alit_stage1/metrics.jsonl",
        manifest="results/{study}/tokenizers/{tokenizer}/seed{seed}/alit_stage1/manifest.json",
    log:
        "logs/{study}/train_alit_stage1/{tokenizer}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/train_alit_stage1/{tokenizer}-seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: takes("alit_stage1")["cpus_per_task"]
    resources:
        **takes("alit_stage1"),
    params:
        state="results/{study}/training/tokenizers/{tokenizer}/seed{seed}/alit_stage1",
        milestones=milestone_options,
    shell:
        "python -m titok launch {resources.launch}"
        " train alit_stage1 --config {input.config:q} --execution {resources.execution:q}"
        " --data {input.data:q} --vqgan {input.vqgan:q}"
        " --seed {wildcards.seed:q} {params.milestones}"
        " --workers {resources.workers} --state {params.state:q} --output {output.model:q} > {log} 2>&1"


rule train_alit_stage2:
    """Everything learns pixels, one length at a time (docs/adaptive_length.md)."""
    input:
        config="results/{study}/configs/alit_stage2/{tokenizer}.yaml",
        data="results/{study}/data/train.index.npz",
        stage1="results/{study}/tokenizers/{tokenizer}/seed{seed}/alit_stage1/model.safetensors",
        critic=lambda wildcards: critic(
            study.tokenizers[wildcards.tokenizer].alit.stage2.losses
        ),
        milestones=milestone_files("alit_stage2"),
    output:
        model="results/{study}/tokenizers/{tokenizer}/seed{seed}/alit_stage2/model.safetensors",
        config="results/{study}/tokenizers/{tokenizer}/seed{seed}/alit_stage2/config.json",
        metrics="results/{study}/tokenizers/{tokenizer}/seed{seed}/alit_stage2/metrics.jsonl",
        manifest="results/{study}/tokenizers/{tokenizer}/seed{seed}/alit_stage2/manifest.json",
    log:
        "logs/{study}/train_alit_stage2/{tokenizer}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/train_alit_stage2/{tokenizer}-seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: takes("alit_stage2")["cpus_per_task"]
    resources:
        **takes("alit_stage2"),
    params:
        state="results/{study}/training/tokenizers/{tokenizer}/seed{seed}/alit_stage2",
        critic=option("critic"),
        milestones=milestone_options,
    shell:
        "python -m titok launch {resources.launch}"
        " train alit_stage2 --config {input.config:q} --execution {resources.execution:q}"
        " --data {input.data:q} --init {input.stage1:q} {params.critic}"
        " --seed {wildcards.seed:q} {params.milestones}"
        " --workers {resources.workers} --state {params.state:q} --output {output.model:q} > {log} 2>&1"


rule train_single_stage:
    """The ablation: everything at once, from pixels, without proxy codes (paper Table 3c)."""
    input:
        config="results/{study}/configs/single_stage/{tokenizer}.yaml",
        data="results/{study}/data/train.index.npz",
        critic=lambda wildcards: critic(
            study.tokenizers[wildcards.tokenizer].single_stage.losses
        ),
        milestones=milestone_files("single_stage"),
    output:
        model="results/{study}/tokenizers/{tokenizer}/seed{seed}/single_stage/model.safetensors",
        config="results/{study}/tokenizers/{tokenizer}/seed{seed}/single_stage/config.json",
        metrics="results/{study}/tokenizers/{tokenizer}/seed{seed}/single_stage/metrics.jsonl",
        manifest="results/{study}/tokenizers/{tokenizer}/seed{seed}/single_stage/manifest.json",
    log:
        "logs/{study}/train_single_stage/{tokenizer}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/train_single_stage/{tokenizer}-seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: takes("single_stage")["cpus_per_task"]
    resources:
        **takes("single_stage"),
    params:
        state="results/{study}/training/tokenizers/{tokenizer}/seed{seed}/single_stage",
        critic=option("critic"),
        milestones=milestone_options,
    shell:
        "python -m titok launch {resources.launch}"
        " train single_stage --config {input.config:q} --execution {resources.execution:q}"
        " --data {input.data:q} {params.critic}"
        " --seed {wildcards.seed:q} {params.milestones}"
        " --workers {resources.workers} --state {params.state:q} --output {output.model:q} > {log} 2>&1"


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
