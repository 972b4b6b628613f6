"""Facts about a run of `make demo` for the README, as JSON on standard output.

time make demo 2>&1 | tee demo.log
python docs/demo_facts.py results/digits --log demo.log --seconds 765 --environment-seconds 105 > facts.json
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any


def main() -> None:
    """Reads checks, claims, a score record's machine, and Snakemake's own count of jobs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--log", type=Path, required=True, help="what `make demo` printed")
    parser.add_argument("--seconds", type=float, required=True, help="of the workflow")
    parser.add_argument("--environment-seconds", type=float, required=True, help="of making the environment")
    options = parser.parse_args()
    outcome = json.loads((options.results / "checks.json").read_text())
    checks, trends = outcome["working"], outcome["trends"]
    claims = json.loads((options.results / "claims.json").read_text())["summary"]
    values = {check["name"]: check["value"] for check in checks}
    record = json.loads(next((options.results / "scores").rglob("*.json")).read_text())
    jobs = [int(number) for number in re.findall(r"of (\d+) steps \(100%\) done", options.log.read_text())]
    facts: dict[str, Any] = {
        "minutes": options.seconds / 60,
        "environment_minutes": options.environment_seconds / 60,
        "jobs": jobs[-1],
        "checks": len(checks),
        "checks_passed": sum(check["passed"] for check in checks),
        "readable_lowest": values["reconstructions_read"],
        "class_agreement_lowest": values["samples_read"],
        "trends": trends,
        "trends_that_hold": sum(trend["judgement"]["word"] == "agrees" for trend in trends),
        "claims": claims,
        "machine": record["provenance"]["machine"],
        "packages": record["provenance"]["packages"],
        "code": record["provenance"]["code"],
    }
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main()
