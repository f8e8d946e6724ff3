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
    "CURSOR_SECRET_ARN": "cursor-secret",
    "ENGINE_SECRET_ARN": "engine-secret",
    "MAIL_SENDER": "portal@example.com",
    "PORTAL_URL": "https://portal.example.com",
    "CORS_ORIGINS": "https://portal.example.com",
    "POWERTOOLS_TRACE_DISABLED": "true",
    "POWERTOOLS_METRICS_DISABLED": "true",
    "POWERTOOLS_LOG_LEVEL": "WARNING",
}
os.environ.pop("AWS_ENDPOINT_URL", None)
os.environ.pop("AWS_PROFILE", None)
os.environ |= {
    f"{name}_QUEUE_URL": f"https://sqs.eu-central-1.amazonaws.com/123456789012/{name.lower().replace('_', '-')}"
    for name in (
        "ENGINE_COMMANDS", "MAIL", "DOCUMENTS", "REPORTS", "USAGE", "BILLING", "OVERDUE", "TRIALS", "PURGE", "ROLLUPS",
    )
}  # fmt: skip

from collections.abc import Iterator  # noqa: E402
from datetime import UTC, datetime  # noqa: E402

import pytest  # noqa: E402
from moto import mock_aws  # noqa: E402

from tests.world import World  # noqa: E402


@pytest.fixture
def world() -> Iterator[World]:
    """An empty portal on 2023-01-10 at noon."""
    with mock_aws():
        with World.made(datetime(2023, 1, 10, 12, tzinfo=UTC)) as made:
            yield made
