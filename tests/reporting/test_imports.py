"""Reporting stays light: no module of it loads torch, nor any part of titok but runtime and errors.

Run: pytest tests/reporting/test_imports.py
"""

from __future__ import annotations

import subprocess
import sys

CODE = """
import pkgutil, sys, importlib, titok.reporting
for module in pkgutil.iter_modules(titok.reporting.__path__, "titok.reporting."):
    importlib.import_module(module.name)
print(*sorted(name for name in sys.modules if name == "torch" or name.startswith("titok.")))
"""


def test_no_torch_and_only_records_and_runtime():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60)
    loaded = done.stdout.split()
    assert "titok.reporting.report" in loaded
    allowed = "titok.reporting", "titok.records", "titok.runtime", "titok.errors"
    assert {name for name in loaded if not name.startswith(allowed)} == set()
