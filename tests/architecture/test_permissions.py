"""Every operation says who may; what is open stands on this list."""

import ast

import pytest

from local.document import Operation
from local.document import operations as declared_operations
from portal.permissions import HELD_ON, Permission
from tests.architecture.sources import FUNCTIONS, PORTAL, functions, parsed, resources

OPEN = {
    "confirm_email": "the token of the mailed link is what counts",
    "forget_password": "whoever has forgotten it cannot sign in",
    "reset_password": "the token of the mailed link is what counts",
    "issue_token": "the refresh token is what counts",
    "sign_in": "whoever signs in has no token yet",
    "start_provider_sign_in": "whoever signs in has no token yet",
    "finish_provider_sign_in": "state, cookie and code are what counts",
    "answer_challenge": "the challenge's own token is what counts",
    "take_provider_event": "the payment provider's signature is what counts",
    "get_health": "monitors have no account",
    "get_openapi": "it holds no data of anybody",
    "get_docs": "it holds no data of anybody",
    "refuse_unknown": "it only ever refuses",
}

FOR_ANYBODY_SIGNED_IN = {
    "sign_out", "get_me", "begin_totp", "confirm_totp", "remove_totp", "change_password", "list_sessions",
    "end_session",
}  # fmt: skip

NOT_ASKED_FOR_YET = {
    Permission.BILLING_NOTIFICATIONS,
    Permission.NOTIFICATIONS_MANAGE,
    Permission.SUPPORT_USE,
    Permission.ACCOUNT_SETTINGS_VIEW,
    Permission.ACCOUNT_BILLING_VIEW,
    Permission.ACCOUNT_SUPPORT_VIEW,
    Permission.ACCOUNT_RESTORE,
    Permission.ACCOUNT_USERS_MANAGE,
    Permission.ACCOUNT_AUDIT_VIEW,
}
"""Users can hold these already; no operation is there that asks for them."""

OPERATIONS = declared_operations()


def test_what_is_open_stands_on_the_list() -> None:
    assert {each.name for each in OPERATIONS if each.declaration.open_because} == set(OPEN)


def test_what_anybody_signed_in_may_do_stands_on_the_list() -> None:
    found = {
        each.name
        for each in OPERATIONS
        if not each.declaration.open_because and not each.declaration.permission
    }
    assert found == FOR_ANYBODY_SIGNED_IN


def test_every_function_with_a_route_declares_itself() -> None:
    routed = {each.stem for each in functions() if each.is_operation}
    assert {each.name for each in OPERATIONS} == routed, "use @operation or @public_operation"


def test_open_operations_alone_pass_the_gateway_without_the_authorizer() -> None:
    without = set()
    for properties in resources("AWS::Serverless::Function").values():
        for event in properties.get("Events", {}).values():
            if event["Type"] == "Api" and event["Properties"].get("Auth", {}).get("Authorizer") == "NONE":
                without.add(properties["Handler"].split(".")[1])
    assert without == set(OPEN)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_whoever_is_let_in_can_hold_the_permission(operation: Operation) -> None:
    declaration = operation.declaration
    if declaration.permission not in (None, Permission.ENGINE_REPORT):
        cannot = [tier for tier in declaration.portals if declaration.permission not in HELD_ON[tier]]
        assert not cannot, f"nobody in a portal of {cannot} can hold {declaration.permission}"


def test_every_permission_is_asked_for() -> None:
    used = {each.declaration.permission for each in OPERATIONS}
    assert set(Permission) - used == NOT_ASKED_FOR_YET


def test_permissions_are_decided_by_the_decorator_not_in_handlers() -> None:
    asking = [
        f"{path.relative_to(FUNCTIONS)}:{node.lineno}"
        for path in sorted(FUNCTIONS.glob("*/*.py"))
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and node.attr in ("may", "permissions")
    ]
    assert asking == []


def test_there_is_one_list_of_permissions() -> None:
    values = {str(permission) for permission in Permission}
    spelled = [
        f"{path.relative_to(PORTAL)}:{node.lineno} {node.value}"
        for path in sorted(PORTAL.rglob("*.py"))
        if path.name != "permissions.py"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and node.value in values
    ]
    assert spelled == [], "name them as Permission.X"
