"""Secrets Manager: the keys that the deployment made for itself.

Read once per process; rotating one takes effect as processes are replaced.
"""

from dataclasses import dataclass
from functools import cache

import orjson

from portal.adapters import aws
from portal.settings import settings


def cursor_key() -> bytes:
    """The key that seals list cursors."""
    return _secret(settings.cursor_secret_arn)


def engine_token() -> bytes:
    """The backup engine's access token."""
    return _secret(settings.engine_secret_arn)


def provider_secret(provider: str) -> str:
    """With what the portal shows an identity provider that it is the portal."""
    return _secret(settings.providers[provider].secret_arn).decode()


@dataclass(frozen=True, slots=True)
class PaymentSecrets:
    api_key: str
    webhook_secret: str
    """With what the payment provider signs what it tells."""


def payment_secrets() -> PaymentSecrets:
    """What the portal and the payment provider know each other by."""
    stored = orjson.loads(_secret(settings.stripe_secret_arn))
    return PaymentSecrets(stored["api_key"], stored["webhook_secret"])


@cache
def _secret(arn: str) -> bytes:
    text: str = aws.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    return text.encode()
