rule prepare_data:
    input:
        config="results/{study}/configs/data/all.yaml",
    output:
        train="results/{study}/data/train.index.npz",
        test="results/{study}/data/test.index.npz",
    log:
        "logs/{study}/prepare_data.log",
    benchmark:
        "logs/{study}/benchmarks/prepare_data.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    params:
        directory="results/{study}/data",
    shell:
        "python -m titok prepare --config {input.config:q} --output {params.directory:q} > {log} 2>&1"
