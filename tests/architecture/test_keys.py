"""Only keys.py spells keys, and nothing is loaded without a scope."""

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from portal.scope import Scope
from portal.table import Item
from tests.architecture.sources import FUNCTIONS, PORTAL, ROOT, imports, modules, parsed

_A_KEY = re.compile(r"\b[A-Z_]{2,}#|^[A-Z]#|#$|\|$")
"""What a key, or a piece of one, looks like."""

WITHOUT_A_SCOPE = {
    "portal.identity.records": {
        "find_email_owner", "find_user", "find_session", "find_access_token", "find_link", "get_session",
        "find_security", "find_credentials", "find_credentials_of", "find_federated", "find_provider_sign_in",
        "find_api_client", "find_api_clients", "find_challenge", "find_sessions", "list_sessions_of",
    },
    "portal.billing.records": {"find_sequence"},
    "portal.payments.records": {"find_customer", "find_provider_event"},
}  # fmt: skip
"""Who is calling is found out before there is a scope, and what a user signs in with lies outside of any tenant; a
sequence belongs to none. Of what the payment provider tells it is found out whom it concerns."""

READERS = {
    "portal.identity.actions": "who is calling is found out before there is a scope",
    "portal.access": "a user's own list of accessible accounts makes the scope",
    "portal.idempotency": "the answer to a repeated request, in the caller's own partition",
    "portal.identity.throttle": "attempts of whoever is not known yet",
    "portal.job": "what is due, across tenants",
    "portal.meta.health": "an item that is not there",
}
"""Modules besides the records that read the table."""


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """The strings of a module that are neither documentation nor types, pieces of f-strings included."""
    documentation = {id(node.value) for node in ast.walk(parsed(path)) if isinstance(node, ast.Expr)}
    for node in ast.walk(parsed(path)):
        annotation = getattr(node, "annotation", None) or getattr(node, "returns", None)
        documentation |= {id(each) for each in ast.walk(annotation)} if annotation else set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value


def test_no_other_module_spells_a_key() -> None:
    spelled = [
        f"{path.relative_to(ROOT)}:{line} {text!r}"
        for path in [*sorted(PORTAL.rglob("*.py")), *sorted(FUNCTIONS.rglob("*.py"))]
        if path != PORTAL / "keys.py"
        for line, text in _texts(path)
        if _A_KEY.search(text)
    ]
    assert spelled == [], "add a function to keys.py"


@pytest.mark.parametrize("name", [name for name in modules() if name.endswith(".records")])
def test_whatever_loads_a_record_takes_a_scope_first(name: str) -> None:
    """Or takes a record, which somebody loaded with a scope."""
    module = import_module(name)
    loading = {
        function.__name__: list(inspect.signature(function).parameters.values())
        for _, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == name and function.__name__.startswith(("get_", "find_", "list_", "load_"))
    }
    without = {
        function
        for function, parameters in loading.items()
        if not parameters or not _is_scope_or_record(parameters[0])
    }
    assert without == WITHOUT_A_SCOPE.get(name, set())


def _is_scope_or_record(parameter: inspect.Parameter) -> bool:
    given = parameter.annotation
    return (parameter.name == "scope" and given is Scope) or (
        isinstance(given, type) and issubclass(given, Item)
    )


def test_only_records_read_the_table() -> None:
    reading = {"find", "find_many", "query", "query_index", "query_back", "query_between"}
    found = {}
    for name, path in modules().items():
        if name == "portal.table" or name.endswith(".records") or name in READERS:
            continue
        names = {
            alias.name
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.ImportFrom) and node.module == "portal.table"
            for alias in node.names
        }
        if names & reading:
            found[name] = sorted(names & reading)
    for path in sorted(FUNCTIONS.glob("*/*.py")):
        names = {
            alias.name
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.ImportFrom) and node.module == "portal.table"
            for alias in node.names
        }
        if names & reading:
            found[path.stem] = sorted(names & reading)
    assert found == {}, "load through a function of records.py that takes a scope"


def test_the_system_has_its_own_scope_only_where_the_system_works() -> None:
    """Operations of tenants see their caller's scope; `EVERYTHING` is for jobs, workers and the engine."""
    tenants = [
        path.relative_to(FUNCTIONS)
        for path in sorted(FUNCTIONS.glob("*/*.py"))
        if "EVERYTHING" in path.read_text()
        and not path.stem.startswith(("run_", "on_", "keep_", "deliver_"))
        and path.parent.name not in ("operators", "engine", "identity")
    ]
    assert tenants == []


def test_nobody_scans() -> None:
    scanning = [
        f"{path.relative_to(PORTAL.parent)}:{node.lineno}"
        for path in sorted(PORTAL.rglob("*.py"))
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and node.attr in ("scan", "rate_limited_scan")
    ]
    assert scanning == []


def test_the_chart_names_every_kind_of_sort_key() -> None:
    source = (PORTAL / "keys.py").read_text()
    chart, _, code = source.partition('"""\n\nfrom ')
    kinds = set(re.findall(r'f?"([A-Z_]{3,})#', code))
    missing = {kind for kind in kinds if f"{kind}#" not in chart}
    assert not missing, f"add {missing} to the chart in keys.py"


def test_no_records_module_is_forgotten() -> None:
    assert not [
        name
        for name, path in modules().items()
        if not name.endswith((".records", ".table", ".journal", ".access", ".idempotency", ".throttle"))
        and any(each.startswith("pynamodb") for each in imports(path))
    ], "records are defined in records.py"
