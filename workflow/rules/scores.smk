rule score_reconstruction:
    input:
        config="results/{study}/configs/score/reconstructions.yaml",
        data="results/{study}/data/test.index.npz",
        tokenizer="results/{study}/tokenizers/{tokenizer}/seed{seed}/{stage}/model.safetensors",
        judge=judge(),
    output:
        score="results/{study}/scores/reconstruction/{tokenizer}/{stage}/seed{seed}.json",
        examples="results/{study}/examples/{tokenizer}/{stage}/seed{seed}.npz",
    log:
        "logs/{study}/score_reconstruction/{tokenizer}-{stage}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/score_reconstruction/{tokenizer}-{stage}-seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: takes("score")["cpus_per_task"]
    resources:
        **takes("score", job="reconstructions"),
    params:
        subject=lambda wildcards: targets.subject(
            tokenizer=wildcards.tokenizer, stage=wildcards.stage, seed=wildcards.seed
        ),
        judge=option("judge"),
    shell:
        "python -m titok launch {resources.launch}"
        " score reconstruction"
        " --config {input.config:q} --execution {resources.execution:q}"
        " --data {input.data:q} --model {input.tokenizer:q}"
        " {params.judge} --subject {params.subject:q} --examples {output.examples:q}"
        " --workers {resources.workers} --output {output.score:q} > {log} 2>&1"


use rule score_reconstruction as score_vqgan with:
    input:
        config="results/{study}/configs/score/reconstructions.yaml",
        data="results/{study}/data/test.index.npz",
        tokenizer="results/{study}/vqgan/model.safetensors",
        judge=judge(),
    output:
        score="results/{study}/scores/reconstruction/vqgan.json",
        examples="results/{study}/examples/vqgan.npz",
    log:
        "logs/{study}/score_vqgan.log",
    benchmark:
        "logs/{study}/benchmarks/score_vqgan.tsv"
    params:
        subject=lambda wildcards: targets.vqgan_subject(),
        judge=option("judge"),


rule score_lengths:
    """What each length of a tokenizer gives, and which length images need."""
    input:
        config="results/{study}/configs/lengths/all.yaml",
        data="results/{study}/data/test.index.npz",
        tokenizer="results/{study}/tokenizers/{tokenizer}/seed{seed}/{stage}/model.safetensors",
        beside=lambda wildcards: targets.fixed_beside(
            wildcards.tokenizer, wildcards.seed
        ),
        judge=judge(),
    output:
        score="results/{study}/scores/lengths/{tokenizer}/{stage}/seed{seed}.json",
        pictures="results/{study}/lengths/{tokenizer}/{stage}/seed{seed}.npz",
        per_image="results/{study}/lengths/{tokenizer}/{stage}/seed{seed}.csv",
    log:
        "logs/{study}/score_lengths/{tokenizer}-{stage}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/score_lengths/{tokenizer}-{stage}-seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: takes("lengths")["cpus_per_task"]
    resources:
        **takes("lengths"),
    params:
        subject=lambda wildcards: targets.subject(
            tokenizer=wildcards.tokenizer, stage=wildcards.stage, seed=wildcards.seed
        ),
        judge=option("judge"),
        beside=option("beside"),
    shell:
        "python -m titok launch {resources.launch}"
        " score lengths"
        " --config {input.config:q} --execution {resources.execution:q}"
        " --data {input.data:q} --model {input.tokenizer:q}"
        " {params.judge} {params.beside} --subject {params.subject:q}"
        " --pictures {output.pictures:q} --per-image {output.per_image:q}"
        " --workers {resources.workers} --output {output.score:q} > {log} 2>&1"


rule score_quantized:
    """What remains of the test images when channels of soft tokens have few bits."""
    input:
        config="results/{study}/configs/quantized/all.yaml",
        data="results/{study}/data/test.index.npz",
        train="results/{study}/data/train.index.npz",
        tokenizer="results/{study}/tokenizers/{tokenizer}/seed{seed}/{stage}/model.safetensors",
        judge=judge(),
    output:
        score="results/{study}/scores/reconstruction/{tokenizer}/{stage}-{bits}bit/seed{seed}.json",
    log:
        "logs/{study}/score_quantized/{tokenizer}-{stage}-{bits}bit-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/score_quantized/{tokenizer}-{stage}-{bits}bit-seed{seed}.tsv"
    wildcard_constraints:
        bits="[1-8]",
    conda:
        "../../environment.yml"
    threads: takes("quantized")["cpus_per_task"]
    resources:
        **takes("quantized"),
    params:
        subject=lambda wildcards: targets.quantized_subject(
            wildcards.tokenizer, wildcards.stage, wildcards.bits, wildcards.seed
        ),
        judge=option("judge"),
    shell:
        "python -m titok launch {resources.launch}"
        " score quantized --bits {wildcards.bits:q}"
        " --config {input.config:q} --execution {resources.execution:q}"
        " --data {input.data:q} --train {input.train:q} --model {input.tokenizer:q}"
        " {params.judge} --subject {params.subject:q} --workers {resources.workers}"
        " --output {output.score:q} > {log} 2>&1"


rule score_codec:
    """What an ordinary codec makes of the test images, and in how many bits."""
    input:
        config="results/{study}/configs/score/reconstructions.yaml",
        data="results/{study}/data/test.index.npz",
        judge=judge(),
    output:
        score="results/{study}/scores/reconstruction/{codec}/q{quality}/seed0.json",
    log:
        "logs/{study}/score_codec/{codec}-q{quality}.log",
    benchmark:
        "logs/{study}/benchmarks/score_codec/{codec}-q{quality}.tsv"
    wildcard_constraints:
        codec="jpeg|webp",
        quality=r"\d+",
    conda:
        "../../environment.yml"
    threads: takes("score")["cpus_per_task"]
    resources:
        **takes("score", job="reconstructions"),
    params:
        judge=option("judge"),
    shell:
        "python -m titok launch {resources.launch}"
        " score codec --codec {wildcards.codec:q} --quality {wildcards.quality:q}"
        " --config {input.config:q} --execution {resources.execution:q}"
        " --data {input.data:q} {params.judge} --workers {resources.workers} --output {output.score:q} > {log} 2>&1"


rule score_external:
    """What another program made of the test images, by the protocol of all others."""
    input:
        config="results/{study}/configs/external/{external}.yaml",
        data="results/{study}/data/test.index.npz",
        reconstructions=lambda wildcards: study.external[
            wildcards.external
        ].reconstructions,
        judge=judge(),
    output:
        score="results/{study}/scores/reconstruction/{external}/external/seed0.json",
        examples="results/{study}/examples/{external}/external/seed0.npz",
    log:
        "logs/{study}/score_external/{external}.log",
    benchmark:
        "logs/{study}/benchmarks/score_external/{external}.tsv"
    wildcard_constraints:
        external=one_of(study.external),
    conda:
        "../../environment.yml"
    threads: takes("external")["cpus_per_task"]
    resources:
        **takes("external"),
    params:
        judge=option("judge"),
    shell:
        "python -m titok launch {resources.launch}"
        " score external"
        " --config {input.config:q} --execution {resources.execution:q}"
        " --data {input.data:q} --reconstructions {input.reconstructions:q}"
        " {params.judge} --examples {output.examples:q} --workers {resources.workers}"
        " --output {output.score:q} > {log} 2>&1"


rule score_floor:
    """What mean patches or regions of one colour keep of the test images."""
    input:
        config="results/{study}/configs/floor/{floor}.yaml",
        data="results/{study}/data/test.index.npz",
        train=lambda wildcards: targets.floor_training_images(wildcards.floor),
        judge=judge(),
    output:
        score="results/{study}/scores/reconstruction/{floor}/floor/seed{seed}.json",
        examples="results/{study}/examples/{floor}/floor/seed{seed}.npz",
    log:
        "logs/{study}/score_floor/{floor}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/score_floor/{floor}-seed{seed}.tsv"
    wildcard_constraints:
        floor=one_of(study.floors),
    conda:
        "../../environment.yml"
    threads: takes("floor")["cpus_per_task"]
    resources:
        **takes("floor"),
    params:
        subject=lambda wildcards: targets.floor_subject(wildcards.floor, wildcards.seed),
        train=option("train"),
        judge=option("judge"),
    shell:
        "python -m titok launch {resources.launch}"
        " score floor"
        " --config {input.config:q} --execution {resources.execution:q}"
        " --data {input.data:q} {params.train} {params.judge} --subject {params.subject:q}"
        " --examples {output.examples:q} --workers {resources.workers}"
        " --output {output.score:q} > {log} 2>&1"


rule score_probe:
    """Linear probe on the frozen encoder's latents (paper Figure 4b)."""
    input:
        config=lambda wildcards: (
            f"results/{wildcards.study}/configs/probe/{targets.probe_job(wildcards.tokenizer)}.yaml"
        ),
        train="results/{study}/data/train.index.npz",
        test="results/{study}/data/test.index.npz",
        tokenizer=probed_model,
    output:
        score="results/{study}/scores/probe/{tokenizer}/seed{seed}.json",
    log:
        "logs/{study}/score_probe/{tokenizer}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/score_probe/{tokenizer}-seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: takes("probe")["cpus_per_task"]
    resources:
        **takes("probe"),
    params:
        subject=lambda wildcards: targets.probe_subject(
            wildcards.tokenizer, wildcards.seed
        ),
        state="results/{study}/training/probe/{tokenizer}/seed{seed}",
    shell:
        "python -m titok launch {resources.launch}"
        " score probe"
        " --config {input.config:q} --execution {resources.execution:q}"
        " --train {input.train:q} --test {input.test:q}"
        " --model {input.tokenizer:q} --subject {params.subject:q}"
        " --workers {resources.workers} --state {params.state:q} --output {output.score:q} > {log} 2>&1"


rule score_generation:
    input:
        config="results/{study}/configs/score/samples.yaml",
        # A reference file lies outside the workflow; the job checks its sum.
        data=(
            []
            if study.evaluation.reference
            else "results/{study}/data/train.index.npz"
        ),
        samples="results/{study}/samples/{generator}/{sampler}/seed{seed}.npz",
        manifest="results/{study}/samples/{generator}/{sampler}/seed{seed}.json",
        training="results/{study}/generators/{generator}/seed{seed}/manifest.json",
        judge=judge(),
    output:
        score="results/{study}/scores/generation/{generator}/{sampler}/seed{seed}.json",
    log:
        "logs/{study}/score_generation/{generator}-{sampler}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/score_generation/{generator}-{sampler}-seed{seed}.tsv"
    wildcard_constraints:
        generator=one_of(
            name for name in study.generators if not study.is_foreign(name)
        ),
    conda:
        "../../environment.yml"
    threads: takes("score")["cpus_per_task"]
    resources:
        **takes("score", job="samples"),
    params:
        subject=lambda wildcards: targets.subject(
            generator=wildcards.generator,
            sampler=wildcards.sampler,
            seed=wildcards.seed,
        ),
        judge=option("judge"),
        data=option("data"),
    shell:
        "python -m titok launch {resources.launch}"
        " score generation"
        " --config {input.config:q} --execution {resources.execution:q}"
        " {params.data} --samples {input.samples:q}"
        " --training {input.training:q} {params.judge} --subject {params.subject:q}"
        " --workers {resources.workers} --output {output.score:q} > {log} 2>&1"


use rule score_generation as score_decoded with:
    # What another program's decoder made of a generator's ids; they are an option beside the training images.
    input:
        config="results/{study}/configs/score/samples.yaml",
        data=(
            []
            if study.evaluation.reference
            else "results/{study}/data/train.index.npz"
        ),
        samples=lambda wildcards: study.generators[wildcards.generator].decoded[
            wildcards.sampler
        ],
        ids="results/{study}/ids/{generator}/{sampler}/seed{seed}.npz",
        manifest="results/{study}/ids/{generator}/{sampler}/seed{seed}.json",
        training="results/{study}/generators/{generator}/seed{seed}/manifest.json",
        judge=judge(),
    log:
        "logs/{study}/score_decoded/{generator}-{sampler}-seed{seed}.log",
    benchmark:
        "logs/{study}/benchmarks/score_decoded/{generator}-{sampler}-seed{seed}.tsv"
    wildcard_constraints:
        generator=one_of(filter(study.is_foreign, study.generators)),
    params:
        subject=lambda wildcards: targets.subject(
            generator=wildcards.generator,
            sampler=wildcards.sampler,
            seed=wildcards.seed,
        ),
        judge=option("judge"),
        data=option("data", "ids"),
        # Other images are scored anew, whatever the time of their file.
        samples_sha256=lambda wildcards, input: targets.sums.of(input.samples),
