"""What may import what: functions -> domains -> core, rules without AWS, and no circles."""

import re
import sys
from importlib.metadata import packages_distributions

import pytest

from tests.architecture.sources import (
    PORTAL,
    Function,
    domain_of,
    domains,
    functions,
    imports,
    modules,
    reached,
)

PURE = [
    name
    for name in modules()
    if name.endswith(".rules")
    or name
    in (
        "portal.billing.rating",
        "portal.billing.usage",
        "portal.billing.forecast",
        "portal.billing.guard_rails",
        "portal.subscriptions.spans",
        "portal.subscriptions.plan_changes",
        "portal.change",
        "portal.errors",
        "portal.money",
        "portal.periods",
        "portal.tree",
        "portal.permissions",
        "portal.reports.zip_stream",
        "portal.csv_cells",
    )
]
IMPURE = {
    "portal.table", "portal.operation", "portal.job", "portal.consumer", "portal.journal", "portal.access",
    "portal.clock", "portal.settings", "portal.telemetry", "portal.paging",
    "boto3", "botocore", "pynamodb", "requests", "reportlab", "aws_lambda_powertools",
    "os", "time", "random", "secrets", "socket", "subprocess", "uuid", "urllib.request", "http.client",
}  # fmt: skip
"""What a rule must not know of: the table, HTTP, AWS, the clock, chance."""

EDGES = {"portal.operation", "portal.job"}
"""Only functions are operations and jobs."""
HEARD_OF = {
    "portal.identity.views": {"portal.operation"},
    "portal.identity.key_views": {"portal.operation"},
    "portal.payments.views": {"portal.operation"},
}
"""Answers with secrets in them say so to the operation, which never stores them."""


@pytest.mark.parametrize("name", PURE)
def test_rules_are_pure(name: str) -> None:
    found = reached(name)
    impure = {each for each in found if each in IMPURE or each.split(".")[0] in IMPURE or ".adapters" in each}
    ways = {
        each: sorted(m for m in {name, *found} if m in modules() and each in imports(modules()[m]))
        for each in impure
    }
    assert not impure, f"{name} reaches {ways} (import records under TYPE_CHECKING only)"


@pytest.mark.parametrize("function", functions(), ids=str)
def test_functions_import_the_portal_and_never_each_other_or_aws(function: Function) -> None:
    own = {each.domain for each in functions()}
    found = imports(function.path)
    assert not {each for each in found if each.split(".")[0] in own}, "functions do not import one another"
    aws = {each for each in found if each.split(".")[0] in ("boto3", "botocore", "pynamodb", "requests")}
    assert not aws, f"{function} imports {aws}: that belongs into records.py or adapters/"
    assert "os" not in found, f"{function} reads the environment: that is portal.settings' task"


def test_the_core_knows_no_domain() -> None:
    back = {
        name: sorted(each for each in imports(path) if domain_of(each) in domains())
        for name, path in modules().items()
        if not domain_of(name) or domain_of(name) == "adapters"
    }
    assert not {name: found for name, found in back.items() if found}


def test_domains_have_not_heard_of_http_and_schedules() -> None:
    heard = {
        name: sorted(names & EDGES - HEARD_OF.get(name, set()))
        for name, path in modules().items()
        if domain_of(name) in domains() and (names := imports(path))
    }
    assert not {name: found for name, found in heard.items() if found}, "import Call under TYPE_CHECKING only"


def test_only_adapters_talk_to_aws() -> None:
    found = {
        name: sorted(
            each
            for each in imports(path)
            if each.split(".")[0] in ("boto3", "botocore", "requests", "smtplib")
        )
        for name, path in modules().items()
        if domain_of(name) != "adapters"
    }
    assert not {name: each for name, each in found.items() if each}


def test_no_module_imports_itself_in_a_circle() -> None:
    assert sorted(name for name in modules() if name in reached(name)) == []


def test_everything_that_is_imported_is_in_a_layer() -> None:
    layers = PORTAL.parents[1]
    pinned = [
        name
        for layer in ("vendor", "payments")
        for name in re.findall(
            r"^([a-z0-9-]+)(?:\[.*\])?==", (layers / layer / "requirements.txt").read_text(), re.MULTILINE
        )
    ]
    provided = packages_distributions()
    own = {"portal", *(each.domain for each in functions())}
    missing = {}
    for path in [*modules().values(), *(each.path for each in functions())]:
        for root in {each.split(".")[0] for each in imports(path)} - own - set(sys.stdlib_module_names):
            if not {name.lower().replace("_", "-") for name in provided.get(root, [])} & set(pinned):
                missing.setdefault(root, []).append(path.name)
    assert missing == {}, "add it to the requirements.in of layers/vendor or layers/payments, and make lock"


def test_init_files_are_empty() -> None:
    full = [name for name, path in modules().items() if path.stem == "__init__" and path.read_text().strip()]
    full += [each.domain for each in functions() if (each.path.parent / "__init__.py").read_text().strip()]
    assert full == []


def test_there_is_no_drawer_for_odds_and_ends() -> None:
    drawers = {"utils", "util", "helpers", "common", "service", "manager", "misc", "base"}
    assert not {name for name in modules() if drawers & set(name.split("."))}
