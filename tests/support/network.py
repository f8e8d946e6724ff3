"""HTTP under the harness: registered fakes answer, everything else is refused.

Calls of `requests` are caught where they would leave the process (`HTTPAdapter.send`), so that sessions,
redirects and a production adapter's own checks are really run. Sockets and name look-ups are refused below
that.
"""

import socket
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

Answer = requests.Response | tuple[int, Mapping[str, str], bytes]
"""A response, or status, headers and body."""


class Network:
    """Which hosts answer, and what names resolve to."""

    def __init__(self) -> None:
        self.fakes: dict[str, Callable[[requests.PreparedRequest], Answer]] = {}
        self.names: dict[str, list[str]] = {}
        """Addresses by host name, for `socket.getaddrinfo`; an empty list for a name that does not exist."""
        self.local: set[tuple[str, int]] = set()
        """IP addresses and ports of servers on this machine that the test itself has started: they are really called."""

    def is_local(self, url: str) -> bool:
        """Whether an address is one of such a server."""
        called = urlsplit(url)
        return (called.hostname, called.port) in self.local

    def look_up(self, host: str, port: Any) -> list[tuple[Any, ...]] | None:
        """What `getaddrinfo` answers, None for an unknown name."""
        addresses = self.names.get(host)
        if addresses == []:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if addresses is None:
            return None
        return [_address(address, int(port or 0)) for address in addresses]


def host_of(request: requests.PreparedRequest) -> str:
    """The host a request names: its `Host` header, else its URL's (an adapter may dial an address)."""
    named = request.headers.get("Host")
    if isinstance(named, bytes):
        named = named.decode()
    return (
        named.rpartition(":")[0] or named if named else urlsplit(request.url or "").hostname or ""
    ).lower()


def _address(address: str, port: int) -> tuple[Any, ...]:
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))


def respond(adapter: HTTPAdapter, request: requests.PreparedRequest, answer: Answer) -> requests.Response:
    """A fake's answer as `requests` would have read it off the wire."""
    if isinstance(answer, requests.Response):
        return answer
    status, headers, body = answer
    raw = HTTPResponse(body=BytesIO(body), headers=dict(headers), status=status, preload_content=False)
    return adapter.build_response(request, raw)
