"""The text format that Prometheus reads, version 0.0.4.

Its definition: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple["Sequence[str]", float]
"""Values of the labels, and the number."""


def family(
    name: str, kind: str, text: str, labels: Sequence[str], samples: Iterable[Sample]
) -> str:
    """Return the lines of one metric; nothing if it has no samples.

    Parameters
    ----------
    name, kind, text
        What it is called, ``counter`` or ``gauge``, and what it means.
    labels
        Names of its labels.
    samples
        For each combination of their values one.
    """
    lines = [f"{name}{_labels(labels, values)} {_number(number)}\n" for values, number in samples]
    if not lines:
        return ""
    told = text.replace("\\", "\\\\").replace("\n", "\\n")
    return "".join([f"# HELP {name} {told}\n# TYPE {name} {kind}\n", *lines])


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(number: float) -> str:
    return str(number) if isinstance(number, int) else repr(float(number))
