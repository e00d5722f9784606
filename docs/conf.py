"""Sphinx configuration: what the commands and tables say is asked of the program itself."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from receive import __version__
from receive.icd.items import markdown_table

if TYPE_CHECKING:
    from typing import Any, ClassVar

    from sphinx.application import Sphinx

project = "vis-receive"
author = "The vis-receive developers"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's name for it
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"{project} {release}"
html_theme_options = {"navigation_with_keys": True}

_HELP_COLUMNS = "96"


class CommandHelp(SphinxDirective):
    """``command-help:: NAME``: what ``NAME --help`` prints."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Run the command's entry point in a process of its own."""
        name = self.arguments[0]
        (point,) = importlib.metadata.entry_points(group="console_scripts", name=name)
        module, _, function = point.value.partition(":")
        code = (
            f"import sys; sys.argv = [{name!r}, '--help']\nfrom {module} import {function} as run"
        )
        done = subprocess.run(  # noqa: S603 - our own commands
            [sys.executable, "-c", f"{code}\nsys.exit(run())"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "COLUMNS": _HELP_COLUMNS, "NO_COLOR": "1"},
        )
        if done.returncode:
            raise self.error(f"{name} --help failed: {done.stderr}")
        return [nodes.literal_block(done.stdout, done.stdout, language="text")]


class ItemTable(SphinxDirective):
    """``item-table:: TELESCOPE``: the SPEAD items of a telescope."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """Make the table of what `receive.icd.items` holds."""
        lines = markdown_table(self.arguments[0]).splitlines()
        parent = nodes.container()
        self.state.nested_parse(StringList(lines, source="receive.icd.items"), 0, parent)
        return parent.children


def setup(app: Sphinx) -> None:
    """Register the directives."""
    app.add_directive("command-help", CommandHelp)
    app.add_directive("item-table", ItemTable)
