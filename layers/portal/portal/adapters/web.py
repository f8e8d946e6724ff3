"""HTTP to addresses that others give: identity providers, and whatever a customer types in.

An address is called only if it is https and its host resolves, at this very call, to public addresses alone. The
connection goes to one of the addresses that were checked, not to what a second look-up might say, and the certificate
has to be the host's. Redirects are answers like any other. Nothing is taken from the environment, such as a proxy.
"""

import re
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urlencode

import orjson

from portal.settings import settings

HTTPS = 443
LARGEST_ANSWER = 256 * 1024
"""Bytes."""
_LONGEST_URL = 2_048
_LONGEST_HOST = 253
_CONNECT_SECONDS = 3.0
_READ_SECONDS = 5.0
_SECONDS = 10.0
_PIECE = 16 * 1024


class NotAllowed(Exception):
    """This address is not called; the text says why, in words for whoever gave it."""


class Unanswered(Exception):
    """No proper answer came: not reached, too late, too large, or not HTTP."""


# Which addresses


_V4_DENIED = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' own
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local: the metadata of a machine, and of Lambda
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_V6_GLOBAL = IPv6Network("2000::/3")
"""All that is given out to be reached from everywhere. Loopback, compatible, link-local, unique local, site-local,
multicast, discarded and translated addresses (64:ff9b:1::/48) lie outside of it."""
_V6_DENIED = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocols: Teredo, ORCHID, benchmarks; they hide other addresses
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",
        "3ffe::/16",
        "3fff::/20",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address, in its usual notation, is one that everybody can reach.

    An IPv4 address in IPv6's clothes is judged as what it leads to.
    """
    if "%" in address:
        return False
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found in _NAT64:
            found = IPv4Address(int(found) & 0xFFFF_FFFF)
    if isinstance(found, IPv4Address):
        return not any(found in network for network in _V4_DENIED)
    return found in _V6_GLOBAL and not any(found in network for network in _V6_DENIED)


_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f.]*:[0-9a-f:.]*\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>[/?][!-~]*)?",
    re.IGNORECASE,
)
"""Of printable ASCII alone, so that no two readers see another host in it: no user, no escapes in the host, no blanks. What
is refused besides, in the rest, is `#`, backslashes and quotes."""
_REFUSED_IN_REST = frozenset('#\\"<>^`{|}')
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_A_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Target:
    """An address, taken apart."""

    scheme: str
    host: str
    """In lower case; an IP address without brackets."""
    port: int
    rest: str
    """Path and query."""

    @property
    def origin(self) -> str:
        """Without path, and without a port that goes without saying."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = HTTPS if self.scheme == "https" else 80
        return f"{self.scheme}://{host}" + ("" if self.port == usual else f":{self.port}")

    @property
    def url(self) -> str:
        return self.origin + self.rest

    @property
    def is_number(self) -> bool:
        """Whether the host is an IP address, in whatever notation a system might understand."""
        return ":" in self.host or _A_NUMBER.fullmatch(self.host.rpartition(".")[2]) is not None


def target(url: str, *, ports: Collection[int] = (HTTPS,)) -> Target:
    """An address that may be called as far as one can see without looking its host up.

    Raises:
        NotAllowed: the address is not https, not of this form, of another port, or names an address that is not public.
    """
    found = _parsed(url)
    if found.origin in settings.local_providers:
        return found
    if found.scheme != "https":
        raise NotAllowed("The address has to begin with https://.")
    if found.port not in ports:
        raise NotAllowed(f"The port has to be {' or '.join(str(port) for port in sorted(ports))}.")
    if found.is_number:
        # Only the usual notation is an address here: 127.1, 0x7f.1, 017700000001 and 2130706433 are none.
        if not is_public(found.host):
            raise NotAllowed("The address leads to a network that is not public.")
        return found
    labels = found.host.split(".")
    if len(found.host) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise NotAllowed("The host is no domain name.")
    if len(labels) < 2 or labels[-1] == "localhost":
        raise NotAllowed("The host has to be a full domain name.")
    return found


def _parsed(url: str) -> Target:
    match = _URL.fullmatch(url) if len(url) <= _LONGEST_URL else None
    if match is None or _REFUSED_IN_REST & set(match["rest"] or ""):
        raise NotAllowed("This is no address of the form https://host/path, without user and fragment.")
    scheme, host, rest = match["scheme"].lower(), match["host"].lower(), match["rest"] or "/"
    port = int(match["port"] or (HTTPS if scheme == "https" else 80))
    rest = rest if rest.startswith("/") else f"/{rest}"
    return Target(scheme, host.removeprefix("[").removesuffix("]"), port, rest)


# Calling


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Names are found in any case."""
    body: bytes

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            Unanswered: it is none.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise Unanswered("The answer is no JSON.") from None


Resolve = Callable[[str, int], Sequence[str]]
"""The IP addresses of a host."""
Dial = Callable[[str, int, float], socket.socket]
"""A connection to an IP address and port, made within so many seconds."""


def resolve(host: str, port: int) -> Sequence[str]:
    """The IP addresses of a host as the system finds them now.

    Raises:
        OSError: there is none.
    """
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def dial(address: str, port: int, seconds: float) -> socket.socket:
    """A connection to this very address: nothing is looked up.

    Raises:
        OSError: it cannot be made.
    """
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.settimeout(seconds)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.connect((address, port))
    except BaseException:
        made.close()
        raise
    return made


@dataclass(frozen=True, slots=True)
class Web:
    """How addresses are looked up and connected to, and how long that may take."""

    resolve: Resolve = field(default=resolve)
    dial: Dial = field(default=dial)
    authorities: str | None = None
    """A file of certificates to trust instead of the public authorities'."""
    seconds: float = _SECONDS
    """For all of a call, looking up and reading the answer included."""

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
        ports: Collection[int] = (HTTPS,),
        largest: int = LARGEST_ANSWER,
    ) -> Answer:
        """Call an address once; `form` goes form-encoded, `largest` is how many bytes the answer may have.

        Raises:
            NotAllowed: the address, or one that its host resolves to, may not be called.
            Unanswered: no answer came in time, or a too large one. Whether the call had an effect is unknown.
        """
        ends_at = time.monotonic() + self.seconds
        called = target(url, ports=ports)
        addresses = self._checked(called, ends_at)
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form).encode()
        line = _Line(self.dial, addresses, ends_at)
        try:
            return _sent(line, method, called.url, sent, body, largest, self.authorities)
        finally:
            line.hang_up()

    def _checked(self, called: Target, ends_at: float) -> Sequence[str]:
        """The addresses that the host has now: all of them public, or there is no call."""
        if called.is_number:
            return [called.host]
        try:
            found = _within(ends_at - time.monotonic(), lambda: list(self.resolve(called.host, called.port)))
        except OSError as error:
            raise Unanswered(f"{called.host} was not found.") from error
        # In this order, so that a name with one address inside and one outside is never called.
        if called.origin not in settings.local_providers and not all(is_public(each) for each in found):
            raise NotAllowed("The address leads to a network that is not public.")
        if not found:
            raise Unanswered(f"{called.host} was not found.")
        return list(dict.fromkeys(found))


class _Line:
    """The connection of one call: dialled once, and cut when the call's time is over, whatever it is doing."""

    def __init__(self, dial: Dial, addresses: Sequence[str], ends_at: float) -> None:
        self._dial = dial
        self._addresses = addresses
        self._ends_at = ends_at
        self._held: list[socket.socket] = []
        self._timer: threading.Timer | None = None
        self.is_cut = False

    @property
    def seconds_left(self) -> float:
        return self._ends_at - time.monotonic()

    def connect(self, port: int) -> socket.socket:
        failed: Exception = TimeoutError("too late")
        for address in self._addresses:
            if self.seconds_left <= 0:
                break
            try:
                made = self._dial(address, port, min(_CONNECT_SECONDS, self.seconds_left))
            except OSError as error:
                failed = error
                continue
            # Encryption takes the socket over; a second handle of it is what it can be cut by.
            self._held.append(made.dup())
            self._timer = threading.Timer(max(self.seconds_left, 0), self._cut)
            self._timer.daemon = True
            self._timer.start()
            return made
        raise failed

    def hang_up(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        for each in self._held:
            each.close()

    def _cut(self) -> None:
        self.is_cut = True
        for each in self._held:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                # The other side was faster.
                continue


def _sent(
    line: _Line,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    largest: int,
    authorities: str | None,
) -> Answer:
    import requests
    from urllib3.exceptions import HTTPError

    with requests.Session() as session:
        # Neither proxies nor credentials nor certificates of the environment.
        session.trust_env = False
        session.headers.clear()
        session.headers["User-Agent"] = "portal"
        for scheme in ("https://", "http://"):
            session.mount(scheme, _adapter()(line))
        try:
            with session.request(
                method,
                url,
                headers=headers,
                data=body,
                timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                allow_redirects=False,
                verify=authorities or True,
                stream=True,
            ) as response:
                whole = _read(response, largest)
                answer = Answer(response.status_code, response.headers, whole)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            # What went wrong is told by its kind: the text may hold what was sent.
            raise Unanswered(f"No answer: {type(error).__name__}.") from None
    if line.is_cut:
        raise Unanswered("The answer took too long.")
    return answer


def _read(response: Any, largest: int) -> bytes:
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Unanswered("The answer is compressed, which it was asked not to be.")
    whole = bytearray()
    for piece in response.raw.stream(_PIECE, decode_content=False):
        whole += piece
        if len(whole) > largest:
            raise Unanswered(f"The answer has more than {largest} bytes.")
    return bytes(whole)


@cache
def _adapter() -> Any:
    """The class of what connects `requests` to a line. Made when first used: it takes the whole of requests with it."""
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class Adapter(HTTPAdapter):
        """Whose connections are made by dialling the line; name, certificate and all else stay the URL's."""

        def __init__(self, line: _Line) -> None:
            self._line = line
            super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, **options)
            line = self._line

            class Plain(HTTPConnection):
                def _new_conn(self) -> socket.socket:
                    return line.connect(self.port)

            class Encrypted(HTTPSConnection):
                def _new_conn(self) -> socket.socket:
                    return line.connect(self.port)

            class PlainPool(HTTPConnectionPool):
                ConnectionCls = Plain

            class EncryptedPool(HTTPSConnectionPool):
                ConnectionCls = Encrypted

            self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}

    return Adapter


def _within(seconds: float, work: Callable[[], list[str]]) -> list[str]:
    """What `work` finds, if it does so in time: the system's look-up has no time limit of its own.

    Raises:
        OSError: it failed, or took too long.
    """
    outcome: SimpleQueue[list[str] | BaseException] = SimpleQueue()

    def run() -> None:
        try:
            outcome.put(work())
        except BaseException as error:
            outcome.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        found = outcome.get(timeout=max(seconds, 0))
    except Empty:
        raise TimeoutError("looking up took too long") from None
    if isinstance(found, BaseException):
        raise found
    return found
