"""Every test runs in a world of its own: an empty table made from the template, queues, a bucket, and a stopped clock."""

import os

# Read once when `portal.settings` is imported, so it stands before any import of the code under test.
os.environ |= {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_REGION": "eu-central-1",
    "TABLE_NAME": "portal",
    "BUCKET_NAME": "portal-files",
    "KEY_ARN": "alias/portal",
    "CURSOR_SECRET_ARN": "cursor-secret",
    "ENGINE_SECRET_ARN": "engine-secret",
    "GOOGLE_CLIENT_ID": "portal.google.example.com",
    "GOOGLE_SECRET_ARN": "google-secret",
    "MICROSOFT_CLIENT_ID": "6d9f1b7e-portal",
    "MICROSOFT_SECRET_ARN": "microsoft-secret",
    "STRIPE_PUBLISHABLE_KEY": "pk_test_portal",
    "STRIPE_SECRET_ARN": "stripe-secret",
    "API_URL": "https://api.example.com/live",
    "MAIL_SENDER": "portal@example.com",
    "PORTAL_URL": "https://portal.example.com",
    "CORS_ORIGINS": "https://portal.example.com",
    # moto's stream API knows no account's own endpoint.
    "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
    "POWERTOOLS_TRACE_DISABLED": "true",
    "POWERTOOLS_LOG_LEVEL": "WARNING",
}
os.environ.pop("AWS_ENDPOINT_URL", None)
os.environ.pop("AWS_PROFILE", None)
os.environ |= {
    f"{name}_QUEUE_URL": f"https://sqs.eu-central-1.amazonaws.com/123456789012/{name.lower().replace('_', '-')}"
    for name in (
        "ENGINE_COMMANDS", "MAIL", "DOCUMENTS", "REPORTS", "USAGE", "BILLING", "OVERDUE", "TRIALS", "PURGE", "ROLLUPS",
        "FORGOTTEN", "PASSWORDS_FORGOTTEN", "PASSWORD_EXPIRY", "AUDIT_EXPORTS", "PAYMENTS", "RECONCILIATION",
    )
}  # fmt: skip

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

import pytest

from portal import keys
from portal.scope import Caller
from portal.tree import Tier
from tests.support import Harness
from tests.support.secrets import watching
from tests.world import World

pytest_plugins = ["tests.support.fixtures"]

_BEYOND_THE_SUBTREE = {
    "partners.create_partner": ("EMAIL#",),
    "partners.change_partner": ("EMAIL#",),
    "partners.remove_partner": ("EMAIL#",),
    "identity.access_partner": ("TOKEN#", "SESSION#", "USER#"),
    "accounts.create_account": ("EMAIL#", "ACCOUNT#"),
    "accounts.change_account": ("EMAIL#",),
    "identity.access_account": ("TOKEN#", "SESSION#", "USER#"),
    "identity.sign_out": ("SESSION#",),
    "identity.create_user": ("EMAIL#", "THROTTLE#"),
    "identity.change_user": ("EMAIL#", "THROTTLE#"),
    "identity.remove_user": ("EMAIL#",),
    "identity.resend_confirmation": ("THROTTLE#",),
    "settings.change_account_settings": ("EMAIL#",),
    "identity.begin_totp": ("USER#",),
    "identity.confirm_totp": ("SESSION#", "USER#", "THROTTLE#"),
    "identity.remove_totp": ("USER#", "THROTTLE#"),
    "identity.set_security_policy": ("SESSION#",),
    "identity.change_password": ("SESSION#", "USER#", "THROTTLE#"),
    "identity.list_sessions": ("SESSION#", "USER#"),
    "identity.end_session": ("SESSION#", "USER#"),
    "identity.list_api_keys": ("CLIENT#",),
    "identity.create_api_key": ("CLIENT#",),
    "identity.delete_api_key": ("CLIENT#",),
    "payments.add_card": ("CUSTOMER#",),
    "payments.open_payment_page": ("CUSTOMER#",),
}
"""What the operations that need it may touch besides the caller's own part of the tree."""

_IN_THE_DISTRIBUTORS_OWN = {"accounts.create_account", "subscriptions.get_default_subscription"}
"""Operations that may touch their distributor's own partition, though not what lies below it: to enter a new account in
its directory, and to see what it chose for all of its partners."""

_IN_THE_DISTRIBUTORS_USAGE = {"accounts.create_account", "tasks.delete_task"}
"""Operations that may touch where the usage of all of a distributor's accounts lies: with the new account's, and with
the first day that a deleted task no longer counts on."""


_AT_HOME = {
    "identity.access_partner",
    "identity.access_account",
    "identity.change_password",
    "identity.list_sessions",
    "identity.end_session",
    "identity.begin_totp",
    "identity.confirm_totp",
    "identity.remove_totp",
    "identity.set_security_policy",
}
"""Operations about the caller itself, who is a user of another portal than the one that it has entered."""


@pytest.fixture
def world(harness: Harness) -> Iterator[World]:
    """An empty portal on 2023-01-10 at noon. No operation may touch a key outside its caller's subtree."""
    harness.clock.set(datetime(2023, 1, 10, 12, tzinfo=UTC))

    def within(operation: str, caller: Caller) -> AbstractContextManager[Any]:
        if caller.kind != "user" or caller.portal.tier is Tier.VENDOR:
            return nullcontext()
        above = [keys.node(caller.portal.distributor_node)] if operation in _IN_THE_DISTRIBUTORS_OWN else []
        above += [keys.node(caller.home)] if operation in _AT_HOME else []
        if operation in _IN_THE_DISTRIBUTORS_USAGE:
            above.append(keys.usage(caller.portal)[0])
        also = _BEYOND_THE_SUBTREE.get(operation, ())
        return harness.within(keys.node(caller.portal), also=also, exactly=above)

    with World.made(harness.clock) as made, watching() as made.watch:
        made.within = within
        harness.keep(made)
        yield made
        made.watch.verify()
