"""Calling addresses that others give: none that is not public, nowhere but to what was checked, never for long."""

import datetime
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from portal.adapters import web
from portal.adapters.web import NotAllowed, Unanswered, Web, is_public, target
from portal.settings import ProviderSettings, settings
from tests.support import Harness

PUBLIC = "93.184.216.34"
HOST = "hooks.example.com"

NOT_PUBLIC = [
    # IPv4: this network, private, carriers', loopback, link-local, protocols, documentation, benchmarks, multicast, reserved
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254",
    "169.254.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170",
    "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.7",
    "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.31.196.1", "192.175.48.1",
    # IPv6: unspecified, loopback, compatible, link-local, site-local, unique local, multicast, discard, documentation
    "::", "::1", "::127.0.0.1", "::8.8.8.8", "fe80::1", "febf::1", "fec0::1", "feff::1", "fc00::1", "fd00:ec2::254",
    "ff02::1", "ff0e::1", "100::1", "2001:db8::1", "3fff::1", "5f00::1", "4000::1", "3ffe::1", "2620:4f:8000::1",
    # IPv4 in IPv6's clothes: mapped, NAT64, local NAT64, 6to4, Teredo, ORCHID, benchmarks
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::169.254.169.254",
    "64:ff9b::10.1.2.3", "64:ff9b:1::1", "64:ff9b:1:ffff::8.8.8.8", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "2002:808:808::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1", "2001:20::1", "2001:2::1",
    # A zone, and no address at all
    "fe80::1%eth0", "2606:4700::1111%1", "", "localhost", "127.1", "0x7f000001", "2130706433", "017700000001", "1.2.3",
    "010.8.8.8", "8.8.8.8 ", "8.8.8.8/32",
]  # fmt: skip

EVERYBODYS = [
    "8.8.8.8", "1.1.1.1", PUBLIC, "100.63.255.255", "100.128.0.1", "172.15.255.255", "172.32.0.1", "192.0.1.1",
    "198.17.255.255", "198.20.0.1", "223.255.255.255", "11.0.0.1", "128.0.0.1", "169.253.0.1",
    "2606:4700:4700::1111", "2a00:1450:4001:80b::200e", "2001:4860:4860::8888", "2001:200::1", "2003::1",
    "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
]  # fmt: skip

REFUSED = [
    # Not https, or no address of this form
    "", "http://hooks.example.com/", "ftp://hooks.example.com/", "file:///etc/passwd", "gopher://hooks.example.com/",
    "//hooks.example.com/", "hooks.example.com", "https:hooks.example.com", "https:/hooks.example.com", "https:///path",
    "https://", "https://:443/", "https://?x", "javascript:alert(1)", "data:text/plain,x",
    # A user, a fragment, blanks, backslashes, escapes: what readers understand in different ways
    "https://user@hooks.example.com/", "https://user:password@hooks.example.com/", "https://hooks.example.com@127.0.0.1/",
    "https://127.0.0.1\\@hooks.example.com/", "https://hooks.example.com\\.evil.example/", "https://hooks.example.com/#x",
    "https://hooks.example.com#@127.0.0.1/", "https://hooks.example.com /", " https://hooks.example.com/",
    "https://hooks.example.com/\n", "https://hooks.exa\tmple.com/", "https://hooks.example.com/a b", "https://%31%32%37.0.0.1/",
    "https://hooks.example.com%2f@127.0.0.1/", "https://hooks.example.com\x00.evil.example/", "https://hooks.example.com/\u00e9",
    "https://hooks.example.com/\r\nHost: 127.0.0.1", "https://hooks.example.com/<x>", 'https://hooks.example.com/"',
    # No full domain name
    "https://localhost/", "https://api.localhost/", "https://metadata/", "https://hooks.example.com./",
    "https://.example.com/", "https://hooks..example.com/", "https://-hooks.example.com/", "https://hooks-.example.com/",
    f"https://{'a' * 64}.example.com/", f"https://{'a.' * 130}com/", "https://b\u00fccher.example/", "https://\u2460\u2461\u2466.0.0.1/",
    "https://127\u30020\u30020\u30021/",
    # Another port
    "https://hooks.example.com:80/", "https://hooks.example.com:22/", "https://hooks.example.com:8443/",
    "https://hooks.example.com:0/", "https://hooks.example.com:99999/", "https://hooks.example.com:443443/",
    "https://hooks.example.com:/", "https://hooks.example.com:4e1/", "https://hooks.example.com:-443/",
    # Addresses inside, in every notation that some system understands
    "https://127.0.0.1/", "https://169.254.169.254/latest/meta-data/", "https://10.0.0.1/", "https://[::1]/",
    "https://[::ffff:127.0.0.1]/", "https://[::127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/",
    "https://[fe80::1%25eth0]/", "https://[fe80::1%eth0]/", "https://[fd00:ec2::254]/", "https://127.1/", "https://127.0.1/",
    "https://0x7f.1/", "https://0x7f000001/", "https://0x7f.0x0.0x0.0x1/", "https://2130706433/", "https://017700000001/",
    "https://0177.0.0.1/", "https://0/", "https://127.0.0.1./", "https://8.8.2056/", "https://010.8.8.8/",
    "https://hooks.example.1/", "https://1.2.3.4.5/", "https://256.256.256.256/", "https://[8.8.8.8]/", "https://[::1",
    "https://::1/", "https://[]/", "https://hooks.example.0x1/",
]  # fmt: skip

ALLOWED = {
    "https://hooks.example.com": "https://hooks.example.com/",
    "https://hooks.example.com/": "https://hooks.example.com/",
    "HTTPS://Hooks.Example.COM/Path?Query=%20x": "https://hooks.example.com/Path?Query=%20x",
    "https://hooks.example.com:443/x": "https://hooks.example.com/x",
    "https://hooks.example.com?a=b": "https://hooks.example.com/?a=b",
    "https://xn--bcher-kva.example/": "https://xn--bcher-kva.example/",
    "https://input_1.splunk.example.com/services/collector": "https://input_1.splunk.example.com/services/collector",
    "https://10.example.com/": "https://10.example.com/",
    "https://8.8.8.8/": "https://8.8.8.8/",
    "https://[2606:4700:4700::1111]/": "https://[2606:4700:4700::1111]/",
}


def test_there_are_enough_of_them() -> None:
    assert len(set(NOT_PUBLIC)) == len(NOT_PUBLIC) >= 60
    assert len(set(REFUSED)) == len(REFUSED) >= 60


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", EVERYBODYS)
def test_what_is_outside_is(address: str) -> None:
    assert is_public(address)


def test_nothing_that_python_calls_private_is_public() -> None:
    edges = [network for family in (web._V4_DENIED, web._V6_DENIED) for network in family]
    ends = [edge for network in edges for edge in (network[0], network[-1])]
    around = [
        type(edge)(number)
        for edge in ends
        for number in range(int(edge) - 1, int(edge) + 2)
        if 0 <= number < 2**edge.max_prefixlen
    ]
    public = [each for each in around if is_public(str(each))]
    assert len(public) > 20
    assert [each for each in public if not each.is_global or each.is_multicast or each.is_reserved] == []


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_that_may_lead_inside_is_refused(url: str) -> None:
    with pytest.raises(NotAllowed):
        target(url)


@pytest.mark.parametrize(("url", "called"), ALLOWED.items())
def test_a_public_address_is_called_as_it_was_read(url: str, called: str) -> None:
    assert target(url).url == called


def test_a_port_has_to_be_allowed() -> None:
    assert target(f"https://{HOST}:8088/x", ports=(443, 8088)).url == f"https://{HOST}:8088/x"
    with pytest.raises(NotAllowed, match="443 or 8088"):
        target(f"https://{HOST}:9999/x", ports=(443, 8088))


# What a host resolves to


class Dialled(AssertionError):
    """Somebody tried to connect."""


def never(address: str, port: int, seconds: float) -> socket.socket:
    raise Dialled(f"{address}:{port}")


@pytest.mark.parametrize(
    "found",
    [
        *([address] for address in NOT_PUBLIC if address),
        [PUBLIC, "10.0.0.1"],
        ["10.0.0.1", PUBLIC],
        ["2606:4700:4700::1111", "::1"],
        [PUBLIC, PUBLIC, "169.254.169.254"],
    ],
    ids=str,
)
def test_a_host_with_any_address_inside_is_not_called(found: list[str]) -> None:
    with pytest.raises(NotAllowed, match="not public"):
        Web(resolve=lambda host, port: found, dial=never).call("GET", f"https://{HOST}/")


def test_a_host_that_does_not_exist_is_not_called() -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for resolve in (unknown, lambda host, port: []):
        with pytest.raises(Unanswered, match="not found"):
            Web(resolve=resolve, dial=never).call("GET", f"https://{HOST}/")


def test_a_look_up_that_hangs_does_not_hold_the_call() -> None:
    over = threading.Event()

    def hanging(host: str, port: int) -> Sequence[str]:
        over.wait(30)
        return [PUBLIC]

    with pytest.raises(Unanswered, match="not found"):
        Web(resolve=hanging, dial=never, seconds=0.05).call("GET", f"https://{HOST}/")
    over.set()


def test_an_address_that_does_not_answer_is_followed_by_the_next() -> None:
    dialled = []

    def refused(address: str, port: int, seconds: float) -> socket.socket:
        dialled.append((address, port))
        raise ConnectionRefusedError

    with pytest.raises(Unanswered):
        Web(resolve=lambda host, port: [PUBLIC, PUBLIC, "8.8.8.8"], dial=refused).call(
            "GET", f"https://{HOST}/"
        )
    assert dialled == [(PUBLIC, 443), ("8.8.8.8", 443)]


# A real server with a real certificate, on this machine; only dialling it is ours


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the host, signed by itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("authority") / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return path


def _is_whole(request: bytes) -> bool:
    head, blank, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return bool(blank) and len(body) >= int(length[1] if length else 0)


class Server:
    """Takes connections one after the other, and does with each what it is told."""

    def __init__(self, authority: Path, behave: Callable[[ssl.SSLSocket], None]) -> None:
        self.behave = behave
        self.names: list[str | None] = []
        """The names under which it was called (SNI)."""
        self.requests: list[bytes] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(authority)
        self._context.sni_callback = lambda sock, name, context: self.names.append(name)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = self._listening.getsockname()

    def run(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(plain, server_side=True) as made:
                    request = b""
                    while not _is_whole(request):
                        request += made.recv(4_096)
                    self.requests.append(request)
                    self.behave(made)
            except OSError:
                continue

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@contextmanager
def serving(authority: Path, behave: Callable[[ssl.SSLSocket], None]) -> Iterator[Server]:
    server = Server(authority, behave)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(10)
    assert not thread.is_alive()


def says(answer: bytes) -> Callable[[ssl.SSLSocket], None]:
    return lambda made: made.sendall(answer)


def web_to(server: Server, authority: Path, *, seconds: float = 10, dialled: list[str] | None = None) -> Web:
    """A web in which the host has a public address, behind which stands the server."""

    def dial(address: str, port: int, allowed: float) -> socket.socket:
        if dialled is not None:
            dialled.append(f"{address}:{port}")
        return socket.create_connection(server.address, allowed)

    return Web(lambda host, port: [PUBLIC], dial, str(authority), seconds)


OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"ok": true}'


def test_the_connection_goes_to_the_checked_address_in_the_name_of_the_host(authority: Path) -> None:
    dialled: list[str] = []
    with serving(authority, says(OK)) as server:
        answer = web_to(server, authority, dialled=dialled).call(
            "POST", f"https://{HOST}/a?b=c", form={"code": "x y", "&": "="}, headers={"X-Event": "1"}
        )
    assert (answer.status, answer.json(), answer.headers["content-type"]) == (
        200,
        {"ok": True},
        "application/json",
    )
    assert dialled == [f"{PUBLIC}:443"]
    assert server.names == [HOST]
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert f"Host: {HOST}\r\n".encode() in head + b"\r\n"
    assert b"X-Event: 1" in head and b"Content-Type: application/x-www-form-urlencoded" in head
    assert body == b"code=x+y&%26=%3D"


def test_a_name_that_changes_its_address_between_check_and_call_changes_nothing(authority: Path) -> None:
    looked_up, dialled = [], []

    def rebinding(host: str, port: int) -> Sequence[str]:
        looked_up.append(host)
        return [PUBLIC] if len(looked_up) == 1 else ["127.0.0.1"]

    with serving(authority, says(OK)) as server:
        line = web_to(server, authority, dialled=dialled)
        rebound = Web(rebinding, line.dial, str(authority))
        assert rebound.call("GET", f"https://{HOST}/").status == 200
        assert (looked_up, dialled) == ([HOST], [f"{PUBLIC}:443"])
        # At the next call it is looked up again, and refused.
        with pytest.raises(NotAllowed):
            rebound.call("GET", f"https://{HOST}/")
        assert len(server.requests) == 1


def test_another_hosts_certificate_is_no_proof(authority: Path) -> None:
    with serving(authority, says(OK)) as server:
        with pytest.raises(Unanswered, match="SSLError"):
            web_to(server, authority).call("GET", "https://other.example.com/")
        assert server.requests == []


def test_a_certificate_that_nobody_knows_is_no_proof(
    authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not even if the environment vouches for it.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    with serving(authority, says(OK)) as server:
        line = web_to(server, authority)
        with pytest.raises(Unanswered, match="SSLError"):
            Web(line.resolve, line.dial).call("GET", f"https://{HOST}/")
        assert server.requests == []


def test_proxies_of_the_environment_are_not_asked(authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with serving(authority, says(OK)) as server:
        assert web_to(server, authority).call("GET", f"https://{HOST}/").status == 200
        assert server.requests[0].startswith(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(authority: Path, status: int) -> None:
    redirect = f"HTTP/1.1 {status} Moved\r\nLocation: https://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    dialled: list[str] = []
    with serving(authority, says(redirect.encode())) as server:
        answer = web_to(server, authority, dialled=dialled).call("GET", f"https://{HOST}/")
    assert (answer.status, answer.headers["Location"]) == (status, "https://169.254.169.254/")
    assert dialled == [f"{PUBLIC}:443"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"400\r\n"
        + b"x" * 1_024
        + b"\r\n"
        + b"0\r\n\r\n",
    ],
    ids=["declared", "undeclared", "chunked"],
)
def test_a_large_answer_is_not_read_to_its_end(authority: Path, answer: bytes) -> None:
    with serving(authority, says(answer)) as server, pytest.raises(Unanswered, match="more than 1000 bytes"):
        web_to(server, authority).call("GET", f"https://{HOST}/", largest=1_000)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["nothing", "no HTTP", "cut short", "compressed", "bad chunk"],
)
def test_what_is_no_proper_answer_is_none(authority: Path, answer: bytes) -> None:
    with serving(authority, says(answer)) as server, pytest.raises(Unanswered):
        web_to(server, authority).call("GET", f"https://{HOST}/")


def test_what_is_no_json_says_so() -> None:
    with pytest.raises(Unanswered, match="no JSON"):
        web.Answer(200, {}, b"<html>").json()


def dripping(first: bytes, then: bytes) -> Callable[[ssl.SSLSocket], None]:
    """Sends a little again and again, so that no single wait is long; until the other side is gone."""

    def behave(made: ssl.SSLSocket) -> None:
        made.sendall(first)
        pause = threading.Event()
        for _ in range(500):
            pause.wait(0.02)
            made.sendall(then)

    return behave


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    ],
    ids=["headers", "declared body", "undeclared body"],
)
def test_an_answer_that_drips_is_cut_off(authority: Path, first: bytes, then: bytes) -> None:
    began = time.monotonic()
    with serving(authority, dripping(first, then)) as server, pytest.raises(Unanswered):
        web_to(server, authority, seconds=0.3).call("GET", f"https://{HOST}/")
    assert time.monotonic() - began < 5


def test_a_server_that_does_not_greet_is_cut_off() -> None:
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        here = silent.getsockname()
        web = Web(lambda host, port: [PUBLIC], lambda *at: socket.create_connection(here), seconds=0.2)
        with pytest.raises(Unanswered):
            web.call("GET", f"https://{HOST}/")
    assert time.monotonic() - began < 5


def test_what_goes_wrong_is_told_without_what_was_sent(authority: Path) -> None:
    with serving(authority, says(b"")) as server, pytest.raises(Unanswered) as raised:
        web_to(server, authority).call("POST", f"https://{HOST}/?q=hidden-1", form={"code": "hidden-2"})
    assert "hidden" not in str(raised.value) + repr(raised.value.__cause__)


# Under the harness, as operations meet it


def test_in_other_tests_the_harness_answers(harness: Harness) -> None:
    harness.serve(HOST, lambda request: (200, {}, b"{}"))
    harness.net.names[HOST] = [PUBLIC]
    assert Web().call("GET", f"https://{HOST}/x").json() == {}
    harness.net.names[HOST] = [PUBLIC, "127.0.0.1"]
    with pytest.raises(NotAllowed):
        Web().call("GET", f"https://{HOST}/x")


# The local cloud's exception


def test_the_local_provider_alone_may_be_called_though_it_is_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    here = type(settings)(
        **{name: getattr(settings, name) for name in settings.__slots__}
        | {"local_providers": frozenset({"http://127.0.0.1:5566"})}
    )
    assert isinstance(here.providers["google"], ProviderSettings)
    monkeypatch.setattr(web, "settings", here)
    assert target("http://127.0.0.1:5566/jwks").url == "http://127.0.0.1:5566/jwks"
    for url in (
        "http://127.0.0.1:5567/jwks",
        "https://127.0.0.1:5566/jwks",
        "http://127.0.0.2:5566/",
        "http://localhost:5566/",
        "http://127.0.0.1:5566@hooks.example.com/",
        "http://0x7f.1:5566/",
    ):
        with pytest.raises(NotAllowed):
            target(url)


def test_nothing_inside_may_be_called_unless_the_deployment_says_so() -> None:
    assert settings.local_providers == frozenset()
    assert ipaddress.ip_address(PUBLIC).is_global
