rule make_table:
    """One of the paper's tables, from the scores it needs and no others."""
    input:
        scores=lambda wildcards: targets.table_scores(wildcards.table),
        paper=from_project("config/paper.csv"),
    output:
        csv=report(
            "results/{study}/tables/{table}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
        md="results/{study}/tables/{table}.md",
        tex="results/{study}/tables/{table}.tex",
    log:
        "logs/{study}/make_table/{table}.log",
    benchmark:
        "logs/{study}/benchmarks/make_table/{table}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    params:
        study_file=study_path,
        settings=lambda wildcards: targets.report_settings(table=wildcards.table),
    shell:
        "python -m titok table {wildcards.table:q} --study {params.study_file:q} --paper {input.paper:q}"
        " --scores {input.scores:q} --output {output.csv:q} > {log} 2>&1"


rule make_figure:
    """One figure, from the scores, logs or images it needs and no others."""
    input:
        scores=lambda wildcards: targets.figure_scores(wildcards.figure),
        logs=lambda wildcards: targets.figure_logs(wildcards.figure),
        # Beside the logs, read for the healthy bands.
        manifests=lambda wildcards: targets.figure_manifests(wildcards.figure),
        images=lambda wildcards: targets.figure_images(wildcards.figure),
        # Only where its points are drawn, so that a corrected number draws no other figure again.
        paper=lambda wildcards: (
            from_project("config/paper.csv")(wildcards)
            if targets.figure_paper(wildcards.figure)
            else []
        ),
    output:
        svg=report(
            "results/{study}/figures/{figure}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        png="results/{study}/figures/{figure}.png",
        csv="results/{study}/figures/{figure}.csv",
    log:
        "logs/{study}/make_figure/{figure}.log",
    benchmark:
        "logs/{study}/benchmarks/make_figure/{figure}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    params:
        study_file=study_path,
        settings=lambda wildcards: targets.report_settings(figure=wildcards.figure),
        paper=option("paper"),
    shell:
        "python -m titok figure {wildcards.figure:q}"
        " --study {params.study_file:q} {params.paper} --scores {input.scores:q}"
        " --logs {input.logs:q} --images {input.images:q} --output {output.svg:q} > {log} 2>&1"


rule judge_checks:
    """The properties that the study promises, each with what was found."""
    input:
        scores=targets.all_scores(),
    output:
        json="results/{study}/checks.json",
        md="results/{study}/checks.md",
    log:
        "logs/{study}/judge_checks.log",
    benchmark:
        "logs/{study}/benchmarks/judge_checks.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    params:
        study_file=study_path,
        settings=targets.report_settings(),
    shell:
        "python -m titok checks --study {params.study_file:q} --scores {input.scores:q}"
        " --output {output.json:q} > {log} 2>&1"


rule measure_models:
    """Tokens, bits, compression and parameters of the full-size models; needs no weights."""
    input:
        released=from_project("config/published.yaml"),
        larger=from_project("config/imagenet512.yaml"),
        adaptive=from_project("config/imagenet100.yaml"),
    output:
        "results/{study}/models.json",
    log:
        "logs/{study}/measure_models.log",
    benchmark:
        "logs/{study}/benchmarks/measure_models.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    shell:
        "python -m titok facts --output {output:q} > {log} 2>&1"


rule judge_claims:
    """Every claim of the paper, held against this study's scores."""
    input:
        claims=from_project("config/claims.yaml"),
        paper=from_project("config/paper.csv"),
        facts="results/{study}/models.json",
        scores=targets.all_scores(),
    output:
        json="results/{study}/claims.json",
        md=report(
            "results/{study}/claims.md",
            caption="../report/claims.rst",
            category="Claims",
            labels={"page": "claims of the paper"},
        ),
    log:
        "logs/{study}/judge_claims.log",
    benchmark:
        "logs/{study}/benchmarks/judge_claims.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    params:
        study_file=study_path,
        settings=targets.report_settings(),
    shell:
        "python -m titok claims --claims {input.claims:q} --paper {input.paper:q} --facts {input.facts:q}"
        " --study {params.study_file:q} --scores {input.scores:q} --output {output.json:q} > {log} 2>&1"


rule write_report:
    """The page that shows it all."""
    input:
        scores=targets.all_scores(),
        tables=targets.tables("csv"),
        figures=targets.figures("svg"),
        manifests=targets.manifests(),
        checks="results/{study}/checks.json",
        claims="results/{study}/claims.json",
        paper=from_project("config/paper.csv"),
    output:
        html=report(
            "results/{study}/report.html",
            caption="../report/page.rst",
            category="Report",
            labels={"page": "the whole study"},
        ),
    log:
        "logs/{study}/write_report.log",
    benchmark:
        "logs/{study}/benchmarks/write_report.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    params:
        study_file=study_path,
        settings=targets.report_settings(),
    shell:
        "python -m titok report --study {params.study_file:q} --paper {input.paper:q} --scores {input.scores:q}"
        " --tables {input.tables:q} --figures {input.figures:q}"
        " --manifests {input.manifests:q} --checks {input.checks:q}"
        " --claims {input.claims:q} --output {output.html:q} > {log} 2>&1"


rule verify_checks:
    """Fails, naming the property, if one does not hold; comes last so that the page can be read in any case."""
    input:
        checks="results/{study}/checks.json",
        page="results/{study}/report.html",
    output:
        "results/{study}/verdict.txt",
    log:
        "logs/{study}/verify_checks.log",
    benchmark:
        "logs/{study}/benchmarks/verify_checks.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        "python -m titok verdict {input.checks:q} > {output:q} 2> {log} || {{ cat {log} >&2; exit 1; }}"
