"""Secrets Manager: the keys that the deployment made for itself.

Read once per process; rotating one takes effect as processes are replaced.
"""

from functools import cache

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


@cache
def _secret(arn: str) -> bytes:
    text: str = aws.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    return text.encode()
