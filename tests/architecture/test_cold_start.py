"""Imports are cold start: in a fresh interpreter a function loads only what it has a right to.

Modules are counted, not milliseconds, so that the test says the same on every machine.
"""

import json
import subprocess
import sys
from functools import cache

import pytest

from tests.architecture.sources import FUNCTIONS, PORTAL, Function, functions

_PROBE = """
import importlib, json, os, sys
before = set(sys.modules)
sys.path[:0] = sys.argv[1:3]
for name in ("portal.operation", "portal.job", "portal.consumer"):
    importlib.import_module(name)
found = {"": sorted(set(sys.modules) - before)}
for name in sys.argv[3:]:
    reading, writing = os.pipe()
    if not os.fork():
        importlib.import_module(name)
        with os.fdopen(writing, "w") as out:
            json.dump(sorted(set(sys.modules) - before), out)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        found[name] = json.load(answer)
    os.wait()
json.dump(found, sys.stdout)
"""
"""Each function is imported in a child of its own, of an interpreter with nothing but the runtime in it."""

RUNTIME = {
    "portal", "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection",
    "pynamodb", "botocore", "jmespath", "dateutil", "six", "urllib3", "certifi", "blinker", "orjson",
    "aws_lambda_powertools", "aws_xray_sdk", "wrapt", "awscrt", "_awscrt",
    # What urllib3 and botocore take along where it is installed; it is not in the layer.
    "OpenSSL", "cryptography", "_cffi_backend", "_openssl", "brotli", "_brotli", "zstandard", "socks", "h2",
    "idna",
}  # fmt: skip
"""What every function may load: the runtime."""

RIGHTS = {
    "accounts.create_account": {"email_validator"},
    "partners.create_partner": {"email_validator"},
    "operators.create_distributor": {"email_validator"},
    "operators.create_first_operator": {"email_validator"},
    "accounts.change_account": {"email_validator"},
    "partners.change_partner": {"email_validator"},
    "identity.create_user": {"email_validator"},
    "identity.change_user": {"email_validator"},
    "settings.change_account_settings": {"email_validator"},
    "identity.sign_in": {"argon2", "_argon2_cffi_bindings", "pyotp"},
    "identity.answer_challenge": {"argon2", "_argon2_cffi_bindings", "pyotp"},
    "identity.begin_totp": {"argon2", "_argon2_cffi_bindings", "pyotp"},
    "identity.confirm_totp": {"argon2", "_argon2_cffi_bindings", "pyotp"},
    "identity.remove_totp": {"argon2", "_argon2_cffi_bindings", "pyotp"},
    "identity.confirm_email": {"argon2", "_argon2_cffi_bindings"},
    "identity.change_password": {"argon2", "_argon2_cffi_bindings"},
    "identity.reset_password": {"argon2", "_argon2_cffi_bindings"},
    "billing.on_document_wanted": {"reportlab", "PIL"},
    "billing.get_bill_pdf": {"reportlab", "PIL"},
    "billing.get_credit_note_pdf": {"reportlab", "PIL"},
    "billing.get_receipt": {"reportlab", "PIL"},
    "billing.set_payment_details": {"email_validator"},
    "notifications.on_mail_wanted": {"boto3", "s3transfer"},
}
"""What some may load besides."""

HEAVY = (
    "aws_lambda_powertools.event_handler",
    "reportlab",
    "requests",
    "boto3",
    "argon2",
    "unittest",
)


@cache
def loaded() -> dict[str, list[str]]:
    """The modules that each function loads, by its name; under the empty name, those of the runtime."""
    names = [function.name for function in functions()]
    probe = [sys.executable, "-c", _PROBE, str(FUNCTIONS), str(PORTAL.parent), *names]
    found: dict[str, list[str]] = json.loads(
        subprocess.run(probe, capture_output=True, check=True, text=True).stdout
    )
    return found


def packages(name: str) -> set[str]:
    """Top-level packages that are not Python's own."""
    own = {each.domain for each in functions()}
    roots = {module.split(".")[0] for module in loaded()[name]} - own - set(sys.stdlib_module_names)
    return {root for root in roots if not root.startswith(("_sysconfigdata", "__"))}


def heavy(name: str) -> set[str]:
    return set(HEAVY) & set(loaded()[name])


def test_the_runtime_is_light() -> None:
    assert packages("") - RUNTIME == set()
    assert heavy("") == set()


@pytest.mark.parametrize("function", functions(), ids=str)
def test_a_function_loads_the_runtime_and_what_it_has_a_right_to(function: Function) -> None:
    rights = RIGHTS.get(function.name, set())
    beyond = (packages(function.name) - RUNTIME) | heavy(function.name)
    assert beyond <= rights, (
        f"{function} loads {beyond - rights}: import it where it is used, or give it the right"
    )


def test_rights_are_used() -> None:
    unused = {name: rights - packages(name) for name, rights in RIGHTS.items()}
    assert not {name: each for name, each in unused.items() if each}
