"""The sources as these tests read them: functions, the portal's modules with their imports, the template."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.expansion import template

ROOT = Path(__file__).parents[2]
FUNCTIONS = ROOT / "functions"
PORTAL = ROOT / "layers/portal/portal"


@dataclass(frozen=True)
class Function:
    """One file of `functions/`."""

    path: Path

    @property
    def domain(self) -> str:
        return self.path.parent.name

    @property
    def stem(self) -> str:
        return self.path.stem

    @property
    def name(self) -> str:
        """As in `world.call`: `accounts.remove_account`."""
        return f"{self.domain}.{self.stem}"

    @property
    def logical_id(self) -> str:
        return "".join(part.capitalize() for part in self.stem.split("_"))

    @property
    def trigger(self) -> str:
        """First line of the docstring."""
        return (ast.get_docstring(parsed(self.path)) or "").partition("\n")[0]

    @property
    def is_operation(self) -> bool:
        return self.trigger.split(" ")[0] in ("GET", "POST", "PUT", "PATCH", "DELETE", "ANY")

    @property
    def route(self) -> tuple[str, str]:
        """Method and path of an operation."""
        method, _, path = self.trigger.partition(" ")
        return method, path

    def __str__(self) -> str:
        return self.name


@cache
def functions() -> tuple[Function, ...]:
    return tuple(Function(path) for path in sorted(FUNCTIONS.glob("*/*.py")) if path.stem != "__init__")


def operations() -> list[Function]:
    return [function for function in functions() if function.is_operation]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


# Modules and what they import


def module_name(path: Path) -> str:
    """`portal.accounts.rules` for a module of the layer, `accounts.remove_account` for a function."""
    base = PORTAL.parent if PORTAL in path.parents else FUNCTIONS
    return ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    """Every module of the portal layer by name."""
    return {module_name(path): path for path in sorted(PORTAL.rglob("*.py"))}


@cache
def imports(path: Path) -> frozenset[str]:
    """The modules that a module imports when it is imported; not what it names for the type checker alone."""
    return frozenset(_imported(parsed(path).body, path))


def _imported(body: list[ast.stmt], path: Path) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0, f"{path}: write imports in full"
            for alias in statement.names:
                whole = f"{statement.module}.{alias.name}"
                yield whole if whole in modules() else str(statement.module)
        elif isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test):
            yield from _imported(statement.orelse, path)
        elif isinstance(statement, ast.If | ast.Try | ast.With | ast.ClassDef):
            yield from _imported(
                [each for each in ast.walk(statement) if isinstance(each, ast.Import | ast.ImportFrom)], path
            )


@cache
def reached(name: str) -> frozenset[str]:
    """Everything that comes along when a module of the portal is imported, the portal's own and others."""
    known: set[str] = set()
    waiting = [name]
    while waiting:
        for each in imports(modules()[waiting.pop()]):
            if each not in known:
                known.add(each)
                waiting += [each] if each in modules() else []
    return frozenset(known)


def domains() -> list[str]:
    return sorted(path.parent.name for path in PORTAL.glob("*/__init__.py") if path.parent.name != "adapters")


def domain_of(module: str) -> str:
    """`accounts` for `portal.accounts.rules`, nothing for a module of the core."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 and parts[0] == "portal" else ""


# The template


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Properties of the template's resources of one type by logical id, before SAM expands it."""
    return {
        logical_id: resource.get("Properties", {})
        for logical_id, resource in template()["Resources"].items()
        if resource["Type"] == kind
    }


def camel_to_snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
