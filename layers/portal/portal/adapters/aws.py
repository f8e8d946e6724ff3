"""AWS clients, one of each per process, made when first used."""

from functools import cache
from typing import Any

import boto3
from botocore.config import Config

_CONFIG = Config(
    connect_timeout=3,
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": 4},
    s3={"addressing_style": "path"},
)


@cache
def client(service: str) -> Any:
    """The boto3 client of an AWS service."""
    return boto3.client(service, config=_CONFIG)  # type: ignore[call-overload]
