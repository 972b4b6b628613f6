rule write_config:
    """The resolved settings of one job. Written again when one of those changes that decide its result, which makes its
    rule run again; the others may be older than the study, so that jobs are told them by `--execution`.
    """
    output:
        "results/{study}/configs/{kind}/{name}.yaml",
    log:
        "logs/{study}/write_config/{kind}/{name}.log",
    benchmark:
        "logs/{study}/benchmarks/write_config/{kind}/{name}.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    params:
        study_file=study_path,
        settings=lambda wildcards: targets.settings(wildcards.kind, wildcards.name),
    shell:
        "python -m titok resolve {params.study_file:q} {wildcards.kind:q} {wildcards.name:q}"
        " --output {output:q} > {log} 2>&1"
