import hashlib
from base64 import b32encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal.identity import totp

NOW = datetime(2023, 1, 10, 12, tzinfo=UTC)
_SEED = b"1234567890" * 7
_DIGESTS = {"SHA1": (hashlib.sha1, 20), "SHA256": (hashlib.sha256, 32), "SHA512": (hashlib.sha512, 64)}
VECTORS = [
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1111111111, "14050471", "67062674", "99943326"),
    (1234567890, "89005924", "91819424", "93441116"),
    (2000000000, "69279037", "90698825", "38618901"),
    (20000000000, "65353130", "77737706", "47863826"),
]
"""Appendix B of RFC 6238: seconds, and the code by SHA-1, SHA-256 and SHA-512."""


@pytest.mark.parametrize(
    ("seconds", "code", "digest"),
    [
        (seconds, code, digest)
        for seconds, *codes in VECTORS
        for code, digest in zip(codes, _DIGESTS, strict=True)
    ],
)
def test_the_vectors_of_rfc_6238(seconds: int, code: str, digest: str) -> None:
    function: Callable[..., Any]
    function, length = _DIGESTS[digest]
    secret = b32encode(_SEED[:length]).decode().rstrip("=")
    at = datetime.fromtimestamp(seconds, UTC)
    found = totp.matching_step(secret, code, at, digits=8, digest=function)
    assert found == seconds // 30 == totp.step_at(at)
    late = at + timedelta(seconds=60)
    assert totp.matching_step(secret, code, late, digits=8, digest=function) is None
    wrong = f"{(int(code) + 1) % 10**8:08d}"
    assert totp.matching_step(secret, wrong, at, digits=8, digest=function) is None


def test_one_step_of_drift_either_way_and_no_more() -> None:
    secret, present = totp.new_secret(), totp.step_at(NOW)
    for off in range(-4, 5):
        found = totp.matching_step(secret, totp.code_of(secret, present + off), NOW)
        assert found == (present + off if abs(off) <= 1 else None), off


def test_a_step_begins_on_the_half_minute() -> None:
    present = totp.step_at(NOW)
    assert totp.step_at(NOW + timedelta(seconds=29, microseconds=999_999)) == present
    assert totp.step_at(NOW + timedelta(seconds=30)) == present + 1


def test_a_step_that_was_used_and_those_before_it_are_not_accepted() -> None:
    secret, present = totp.new_secret(), totp.step_at(NOW)
    codes = {off: totp.code_of(secret, present + off) for off in (-1, 0, 1)}
    for used in (-2, -1, 0, 1):
        accepted = {
            off
            for off, code in codes.items()
            if totp.matching_step(secret, code, NOW, used=present + used) is not None
        }
        assert accepted == {off for off in codes if off > used}


def test_what_is_no_code_never_matches() -> None:
    secret = totp.new_secret()
    for code in ("", "x", "12345", "1234567", totp.code_of(secret, totp.step_at(NOW))[:5]):
        assert totp.matching_step(secret, code, NOW) is None


def test_secrets_are_160_bits_and_never_the_same() -> None:
    secrets = {totp.new_secret() for _ in range(20)}
    assert len(secrets) == 20
    assert {len(each) for each in secrets} == {32}


def test_recovery_codes_are_ten_of_80_bits_compared_as_they_are_typed() -> None:
    codes = totp.new_recovery_codes()
    assert len(set(codes)) == 10
    assert all([len(group) for group in code.split("-")] == [4, 4, 4, 4] for code in codes)
    stored = totp.recovery_hash(codes[0], "usr_1")
    for typed in (codes[0].upper(), codes[0].replace("-", ""), f" {codes[0].replace('-', ' ')} "):
        assert totp.recovery_hash(typed, "usr_1") == stored
    assert totp.recovery_hash(codes[0], "usr_2") != stored
    assert totp.recovery_hash(codes[1], "usr_1") != stored
    assert codes[0].replace("-", "") not in stored


def test_the_qr_code_is_an_svg_element() -> None:
    uri = totp.uri(totp.new_secret(), email="a+b@example.com", issuer="Example Backup")
    assert uri.startswith("otpauth://totp/Example%20Backup:a%2Bb%40example.com?secret=")
    drawn = totp.qr_svg(uri)
    assert drawn.startswith("<svg") and drawn.endswith("</svg>")
    assert "<script" not in drawn
