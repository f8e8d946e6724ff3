"""Where the harness takes hold: under every call to AWS, where HTTP and sockets would leave the process, at
`sleep`.

boto3 and PynamoDB both end in `botocore.client.BaseClient._make_api_call`.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from unittest.mock import patch

import requests
from botocore.client import BaseClient
from botocore.signers import RequestSigner
from requests.adapters import HTTPAdapter

LOCK = threading.RLock()
"""Held during every call: moto's transactions are not atomic under threads."""

perform: Callable[..., Any] = BaseClient._make_api_call  # type: ignore[attr-defined]
"""botocore's own, without the hook."""

_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    # moto does not know the hosts that begin with an account's number, which the stream's operations go to.
    "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
}
REGION = _ENVIRONMENT["AWS_DEFAULT_REGION"]


class Listener(Protocol):
    """Who is asked instead."""

    def on_api_call(self, client: BaseClient, operation: str, parameters: Mapping[str, Any]) -> Any: ...

    def on_presign(self, service: str, operation: str, parameters: Mapping[str, Any]) -> None: ...

    def on_send(
        self, adapter: HTTPAdapter, request: requests.PreparedRequest, real: Callable[[], requests.Response]
    ) -> requests.Response: ...

    def on_look_up(self, host: str, port: Any) -> list[tuple[Any, ...]]: ...

    def on_connect(self, address: Any) -> None: ...

    def on_sleep(self, seconds: float) -> None: ...


@contextmanager
def environment() -> Iterator[None]:
    """Credentials and a region that lead nowhere."""
    with patch.dict(os.environ, _ENVIRONMENT):
        yield


@contextmanager
def hooked(listener: Listener) -> Iterator[None]:
    """Take hold. moto must be on already, so that what `send` lets through ends there."""
    if getattr(BaseClient, "_make_api_call") is not perform:  # noqa: B009
        raise RuntimeError("the harness is on already")
    moto_send = HTTPAdapter.send
    presign = RequestSigner.generate_presigned_url
    connect = socket.socket.connect

    def on_api_call(client: BaseClient, operation: str, parameters: Mapping[str, Any]) -> Any:
        return listener.on_api_call(client, operation, parameters)

    def on_presign(signer: RequestSigner, **asked: Any) -> str:
        parameters = asked["request_dict"]["context"]["s3_redirect"]["params"]
        listener.on_presign("s3", asked["operation_name"], parameters)
        return str(presign(signer, **asked))

    def on_send(adapter: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **options: Any) -> Any:
        return listener.on_send(adapter, request, lambda: moto_send(adapter, request, *args, **options))

    def on_look_up(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        return listener.on_look_up(host.decode() if isinstance(host, bytes) else str(host), port)

    def on_connect(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            listener.on_connect(address)
        connect(sock, address)

    with (
        patch.object(BaseClient, "_make_api_call", on_api_call),
        patch.object(RequestSigner, "generate_presigned_url", on_presign),
        patch.object(HTTPAdapter, "send", on_send),
        patch.object(socket, "getaddrinfo", on_look_up),
        patch.object(socket.socket, "connect", on_connect),
        patch.object(time, "sleep", listener.on_sleep),
    ):
        yield
