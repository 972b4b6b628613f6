"""The documentation site: Markdown pages and an API reference from docstrings (`make docs`)."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from titok import __version__  # noqa: E402

project = "TiTok, reproduced"
author = "the authors of this suite"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.apidoc"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "evidence", "measurements"]
html_theme = "furo"
html_title = project
html_show_copyright = False  # LICENSE says whose it is; the theme's line would name nobody
templates_path: list[str] = []

# One page per package, made anew with every build.
apidoc_modules = [
    {
        "path": "../titok",
        "destination": "api",
        "exclude_patterns": ["../titok/commands/*parser.py"],
        "max_depth": 2,
        "module_first": True,
        "separate_modules": True,
    }
]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_use_rtype = False
napoleon_use_ivar = True  # attributes in docstrings are listed once, not twice

myst_heading_anchors = 3
# Types share names across packages.
suppress_warnings = ["docutils", "ref.python"]
nitpicky = False
