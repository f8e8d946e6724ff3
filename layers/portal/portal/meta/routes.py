"""Which addresses exist, by the OpenAPI document."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson

_DOCUMENT = Path(__file__).with_name("openapi.json")


@cache
def document() -> str:
    """The OpenAPI document of every operation, as text."""
    return _DOCUMENT.read_text()


@cache
def _paths() -> Mapping[str, Mapping[str, Any]]:
    paths: dict[str, dict[str, Any]] = orjson.loads(document())["paths"]
    return paths


def methods_of(path: str) -> tuple[str, ...]:
    """The methods that an address takes, e.g. `/v1/partners/prt_2`; none when there is no such address."""
    parts = path.split("/")
    fitting = [template for template in _paths() if _fits(template.split("/"), parts)]
    if not fitting:
        return ()
    # As the gateway does: `/reports/usage` is not a report of that name.
    return tuple(sorted(method.upper() for method in _paths()[min(fitting, key=_parameters)]))


def _parameters(template: str) -> list[bool]:
    """Which parts of an address are parameters; what is spelled out sorts first."""
    return [part.startswith("{") for part in template.split("/")]


def _fits(template: list[str], parts: list[str]) -> bool:
    return len(template) == len(parts) and all(
        bool(part) if wanted.startswith("{") else wanted == part
        for wanted, part in zip(template, parts, strict=True)
    )
