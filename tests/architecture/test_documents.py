"""Every operation has its test, and what is generated from the operations is in step with them."""

import json

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from local import document
from tests.architecture.sources import ROOT, Function, functions, operations

STORIES = {
    ("engine", "samples"),
    ("identity", "ip_enforcement"),
    ("identity", "large_lists"),
    ("identity", "oauth_clients"),
    ("identity", "races"),
    ("identity", "second_factor_races"),
    ("identity", "user_races"),
}
"""Tests of several functions together, beside those of each."""

WRONG = "run `make docs` and look at what changed"


@pytest.mark.parametrize("function", functions(), ids=str)
def test_every_function_has_its_test_file(function: Function) -> None:
    path = ROOT / f"tests/functions/{function.domain}/test_{function.stem}.py"
    assert path.exists(), f"write {path.relative_to(ROOT)}"
    assert "def test_" in path.read_text()


def test_every_test_file_has_its_function() -> None:
    tested = {
        (path.parent.name, path.stem.removeprefix("test_"))
        for path in ROOT.glob("tests/functions/*/test_*.py")
    }
    assert tested - {(function.domain, function.stem) for function in functions()} == STORIES


def test_the_openapi_document_is_in_step() -> None:
    text = document.openapi_text()
    for path in (document.SERVED, document.READ):
        assert path.read_text() == text, f"{path.relative_to(ROOT)}: {WRONG}"


def test_the_operations_table_of_the_readme_is_in_step() -> None:
    present = document.README.read_text()
    assert document.readme_text(present) == present, f"README.md: {WRONG}"


def test_the_openapi_document_is_valid() -> None:
    errors = list(OpenAPIV31SpecValidator(document.openapi()).iter_errors())
    assert errors == []


def test_every_operation_is_described_in_words() -> None:
    described = document.openapi()["paths"]
    listed = {operation["operationId"] for item in described.values() for operation in item.values()}
    assert listed == {function.stem for function in operations()} - {"refuse_unknown"}
    silent = [
        operation["operationId"]
        for item in described.values()
        for operation in item.values()
        if len(operation["description"]) < 10
    ]
    assert silent == [], "say in the docstring what it does"


def test_every_answer_says_what_it_looks_like() -> None:
    without = [
        operation["operationId"]
        for item in document.openapi()["paths"].values()
        for operation in item.values()
        for status, answer in operation["responses"].items()
        if status == "200" and any(not media["schema"] for media in answer["content"].values())
    ]
    assert without == ["get_docs", "get_openapi"], "annotate what the handler returns with its view"


def test_partners_and_accounts_are_told_that_money_may_be_absent() -> None:
    """What is not set for a principal is absent from its answer, so the document must not require it."""
    required = [
        f"{name}.{field}"
        for name, schema in document.openapi()["components"]["schemas"].items()
        for field in schema.get("required", [])
        if name in ("AccountRow", "Account", "PartnerRow", "Partner", "Dashboard")
        and field in ("billing_status", "amount", "amount_owed")
    ]
    assert required == []


def test_schemas_have_readable_names() -> None:
    names = document.openapi()["components"]["schemas"]
    assert not [name for name in names if "_" in name or "-" in name]
    assert not [name for name in names if not name[0].isupper()]


def test_every_schema_is_used() -> None:
    text = json.dumps(document.openapi())
    unused = [
        name
        for name in document.openapi()["components"]["schemas"]
        if f'"#/components/schemas/{name}"' not in text
    ]
    assert unused == []
