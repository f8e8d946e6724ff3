"""What the harness raises: refusals in DynamoDB's own words, and its own complaints."""

from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError


class Violation(AssertionError):
    """A rule of the house was broken. Collected, so it fails the test even where the code under test swallows
    it.
    """


class OutsideSubtree(Violation):
    """A key outside the caller's subtree was touched."""


class OperationRefused(Violation):
    """An operation that nothing here may use: Scan, PartiQL."""


class NotAuthorised(Violation):
    """A function asked AWS for what its role does not allow."""


class TakenBack(Violation):
    """An item that is written once and for all was changed or deleted."""


class NetworkRefused(Violation):
    """Something reached for the real network, or for a host no fake answers for."""


class FaultMisused(AssertionError):
    """A fault was armed that cannot happen to the call it hit, or never happened."""


class Crash(BaseException):
    """The process died. No `except Exception` in the code under test can catch it."""


def refusal(
    client: BaseClient, operation: str, message: str, code: str = "ValidationException", **more: Any
) -> ClientError:
    """The exception botocore raises for an answer of status 400 with this code and message."""
    parsed = {
        "Error": {"Code": code, "Message": message},
        "Message": message,
        "ResponseMetadata": {
            "RequestId": "HARNESS",
            "HTTPStatusCode": 400,
            "HTTPHeaders": {"x-amzn-requestid": "HARNESS"},
            "RetryAttempts": 0,
        },
        **more,
    }
    make: type[ClientError] = client.exceptions.from_code(code)  # type: ignore[assignment]
    return make(parsed, operation)  # type: ignore[arg-type]
