"""AWS clients, one of each per process, made when first used."""

from functools import cache
from typing import Any

from botocore.config import Config

_CONFIG = Config(
    connect_timeout=3,
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": 4},
    s3={"addressing_style": "path"},
)
# Links are signed by version 4 everywhere: botocore's default for some regions is refused by new buckets.
_CONFIG_S3 = _CONFIG.merge(Config(signature_version="s3v4"))


@cache
def client(service: str) -> Any:
    """The boto3 client of an AWS service."""
    # Imported here because most invocations call nothing but the table, which needs no boto3.
    import boto3

    return boto3.client(service, config=_CONFIG_S3 if service == "s3" else _CONFIG)  # type: ignore[call-overload]
