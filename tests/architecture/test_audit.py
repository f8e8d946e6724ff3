"""What the audit trail tells of which operations, and that nothing takes it back.

That every operation which changes something writes an entry in the same transaction is asked by the access table
(`test_access.py`); here it is which.
"""

import ast
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from local.document import operations as declared_operations
from portal import keys
from portal.accounts.records import get_account_at
from portal.activities import Activity
from portal.change import Change
from portal.journal import AuditEntry
from portal.scope import EVERYTHING
from portal.table import Delete, Update, query, stage, write
from tests.architecture.sources import FUNCTIONS, PORTAL, ROOT, imports, modules, parsed, resources, template
from tests.examples import Scene, ask
from tests.histories import an_entry, plant_history
from tests.principals import ADMINISTRATOR, everybody, neighbourhood
from tests.support import Harness, TakenBack
from tests.support.actions import actions_of
from tests.trees import plant
from tests.world import World

TOLD = {
    Activity.SIGN_IN: {"sign_in", "answer_challenge", "end_session"},
    Activity.ACCOUNT_ACCESSED: {"access_distributor", "access_partner", "access_account"},
    Activity.SUBSCRIBED_TO_PLAN: {"subscribe_accounts", "change_plan"},
    Activity.CHANGED_ACCOUNT_NAME: {"change_account", "change_partner"},
    Activity.SETTINGS_CHANGED: {
        "change_account_settings", "change_distributor", "set_default_subscription",
    },
    Activity.SECURITY_SETTINGS_CHANGED: {
        "add_ip_entry", "change_ip_entry", "delete_ip_entry", "switch_ip_restrictions", "set_security_policy",
        "change_password", "reset_password", "confirm_totp", "remove_totp",
    },
    Activity.USER_MANAGEMENT: {
        "create_user", "change_user", "remove_user", "resend_confirmation", "confirm_email",
    },
    Activity.PERMISSIONS_CHANGED: {"change_user with permissions"},
    Activity.BILLING_DETAILS_UPDATED: {
        "choose_billing_method", "set_payment_details", "set_billing_method", "set_prices", "record_payment",
        "create_credit_note", "release_parked", "add_card", "activate_card", "remove_card", "open_payment_page",
    },
    Activity.NOTIFICATION: {"request_usage_report", "request_audit_export"},
    Activity.API_KEY_CHANGED: {"create_api_key", "delete_api_key"},
    Activity.ACCOUNT_CREATED: {"create_account"},
    Activity.ACCOUNT_REMOVED: {"remove_account"},
    Activity.DISTRIBUTOR_CREATED: {"create_distributor"},
    Activity.PARTNER_CREATED: {"create_partner"},
    Activity.PARTNER_REMOVED: {"remove_partner"},
    Activity.TASKS_CHANGED: {"create_task", "change_task", "delete_task", "activate_tasks", "pause_tasks"},
}  # fmt: skip
"""By activity, the operations whose example writes such an entry."""

TOLD_BY_JOBS = {Activity.TRIAL_CANCELED: "subscriptions.on_trial_due"}

NOT_THERE_YET = {Activity.INTEGRATION_CHANGED}
"""Activities of operations that do not exist."""


def _written(harness: Harness, first: int) -> Iterator[str]:
    """The activities of the entries that were written since."""
    for call in harness.calls[first:]:
        if call.operation in ("TransactWriteItems", "PutItem"):
            for action in actions_of(call.operation, call.parameters):
                if action.attributes.get("kind") == {"S": "audit"}:
                    yield str(action.attributes["activity"]["S"])


def test_every_operation_tells_what_it_is_about(world: World, harness: Harness) -> None:
    home = neighbourhood(world, harness)
    everybody(home, None)
    start = harness.snapshot()
    found: dict[str, set[str]] = {}
    for operation in declared_operations():
        if operation.method == "GET":
            continue
        bodies = {operation.name: {}}
        if operation.name == "change_user":
            bodies["change_user with permissions"] = {
                "body": {"role": "custom", "permissions": ["audit.view"]}
            }
        who = home.administrator((operation.declaration.portals or tuple(ADMINISTRATOR))[0])
        for name, instead in bodies.items():
            first = len(harness.calls)
            ask(Scene(home, who), operation, **instead)
            for activity in _written(harness, first):
                found.setdefault(activity, set()).add(name)
            harness.restore(start)
    assert found == {str(activity): names for activity, names in TOLD.items()}


def test_jobs_tell_in_the_systems_name(world: World, harness: Harness) -> None:
    tree = plant(world.now)
    account = get_account_at(EVERYTHING, tree.account)
    on_trial = Change(
        state="trial",
        plan=None,
        subscribed_on=None,
        subscription_default={"mode": "trial_with_expiration"},
        trial_ends_at=world.now - timedelta(seconds=1),
    )
    write([stage(Update(account, on_trial))])
    world.deliver("subscriptions.on_trial_due", {"account": str(tree.account)})
    (entry,) = query(AuditEntry, keys.node(tree.partner), "AUDIT#")
    assert (entry.activity, entry.performed_by) == (Activity.TRIAL_CANCELED, "system")
    assert set(TOLD_BY_JOBS) == {entry.activity}


def test_every_activity_is_told_by_something() -> None:
    assert set(Activity) == {*TOLD, *TOLD_BY_JOBS, *NOT_THERE_YET}


# Whom it is about


def _entries() -> Iterator[tuple[Path, ast.Call]]:
    for path in [*sorted(PORTAL.rglob("*.py")), *sorted(FUNCTIONS.rglob("*.py"))]:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Entry":
                yield path, node


def test_whoever_names_an_account_says_where_it_is() -> None:
    """Otherwise no user with a list of accessible accounts would ever see the entry."""
    nameless = []
    for path, call in _entries():
        named = {each.arg for each in call.keywords}
        if (len(call.args) > 3 or "account" in named) and not (len(call.args) > 4 or "about" in named):
            nameless.append(f"{path.relative_to(ROOT)}:{call.lineno}")
    assert nameless == []


# Nothing takes it back


def test_entries_are_written_in_one_place_and_read_in_one_domain() -> None:
    making = [
        name
        for name, path in modules().items()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "AuditEntry"
    ]
    assert making == ["portal.journal"]
    reading = {
        name
        for name, path in modules().items()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and node.module == "portal.journal"
        for alias in node.names
        if alias.name == "AuditEntry"
    }
    assert {name.rpartition(".")[0] for name in reading} == {"portal.audit"}
    assert not [path for path in FUNCTIONS.rglob("*.py") if "AuditEntry" in _imported_names(path)]


def _imported_names(path: Path) -> set[str]:
    return {
        alias.name
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if node.module == "portal.journal"
    }


def test_the_domain_that_reads_them_writes_nothing_but_exports() -> None:
    writing = {"Update", "Delete", "Put", "Add", "erase", "write"}
    found = {
        name: sorted(
            alias.name
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.ImportFrom) and node.module == "portal.table"
            for alias in node.names
            if alias.name in writing
        )
        for name, path in modules().items()
        if name.startswith("portal.audit.")
    }
    assert not {name: each for name, each in found.items() if each}
    assert "portal.table" in imports(PORTAL / "audit/records.py")


@pytest.mark.parametrize(
    "function", ["ListAuditEntries", "RequestAuditExport", "GetAuditExport", "OnAuditExportWanted"]
)
def test_the_roles_of_its_functions_cannot_change_or_delete(function: str) -> None:
    role = template()["Resources"][function]["Properties"]["Role"]["Fn::GetAtt"].removesuffix(".Arn")
    (policy,) = resources("AWS::IAM::Role")[role]["Policies"]
    actions = {
        action
        for statement in policy["PolicyDocument"]["Statement"]
        for action in statement["Action"]
        if action.startswith("dynamodb:")
    }
    assert actions <= {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem"}


@pytest.mark.parametrize("how", ["change", "delete", "put another in its place"])
def test_no_test_lets_an_entry_be_taken_back(world: World, harness: Harness, how: str) -> None:
    tree = plant(world.now)
    plant_history([an_entry(tree.distributor, world.now)])
    (entry,) = query(AuditEntry, keys.node(tree.distributor), "AUDIT#")
    with harness.expecting(TakenBack):
        match how:
            case "change":
                AuditEntry.get(entry.pk, entry.sk).update([AuditEntry.description.set("Nothing happened")])
            case "delete":
                write([Delete(entry)])
            case _:
                plant_history([entry])
    (left,) = query(AuditEntry, keys.node(tree.distributor), "AUDIT#")
    assert left.description == "Changed something"
