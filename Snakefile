# `snakemake --cores all` from the project's root. The workflow itself lives in workflow/.
include: "workflow/Snakefile"


# Here and not there, because Snakemake looks for the default target in the main file only.
rule all:
    default_target: True
    input:
        targets.everything(),
