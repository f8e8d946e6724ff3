import base64

import pytest

from portal.identity.client_authentication import INVALID_CLIENT, Refused, Shown, shown

KEY = Shown("cid_1", "dps_secret")


def basic(text: str, scheme: str = "Basic") -> dict[str, str]:
    return {"authorization": f"{scheme} {base64.b64encode(text.encode()).decode()}"}


@pytest.mark.parametrize(
    ("headers", "client_id", "client_secret"),
    [
        (basic("cid_1:dps_secret"), "", ""),
        (basic("cid_1:dps_secret", "bAsIc"), "", ""),
        (basic("cid%5F1:dps%5fsecret"), "", ""),
        (basic("cid_1:dps_secret"), "cid_1", ""),
        (basic("cid_1:dps_secret") | {"client-id": "cid_1"}, "", ""),
        ({}, "cid_1", "dps_secret"),
        ({"authorization": "Bearer dpa_expired"}, "cid_1", "dps_secret"),
        ({"client-id": "cid_1", "client-secret": "dps_secret"}, "", ""),
    ],
)
def test_each_way_shows_the_same(headers: dict[str, str], client_id: str, client_secret: str) -> None:
    assert shown(headers, client_id, client_secret) == KEY


def test_what_is_form_encoded_in_basic_is_decoded_and_only_there() -> None:
    assert shown(basic("a%3Ab+c:d%3A+%25"), "", "") == Shown("a:b c", "d: %")
    assert shown(basic("a:b:c"), "", "") == Shown("a", "b:c")
    assert shown({}, "a%3Ab", "d+e") == Shown("a%3Ab", "d+e")


@pytest.mark.parametrize(
    ("headers", "client_id"),
    [({}, ""), ({}, "cid_1"), ({"client-id": "cid_1"}, ""), ({"authorization": "Bearer x"}, "cid_1")],
)
def test_an_id_alone_shows_nothing(headers: dict[str, str], client_id: str) -> None:
    assert shown(headers, client_id, "") is None


@pytest.mark.parametrize("credentials", ["", "%%%", "Zm9v", "w6/v", "/zo/", "Zm9v OmJhcg=="])
def test_what_is_not_basic_is_an_invalid_client(credentials: str) -> None:
    assert shown({"authorization": f"Basic {credentials}"}, "", "") == INVALID_CLIENT


@pytest.mark.parametrize(
    ("headers", "client_id", "client_secret"),
    [
        (basic("cid_1:dps_secret"), "cid_1", "dps_secret"),
        (basic("cid_1:dps_secret") | {"client-id": "cid_1", "client-secret": "dps_secret"}, "", ""),
        ({"client-id": "cid_1", "client-secret": "dps_secret"}, "cid_1", "dps_secret"),
        (basic("cid_1:dps_secret"), "cid_2", ""),
        (basic("cid_1:dps_secret") | {"client-id": "cid_2"}, "", ""),
        ({"client-id": "cid_1"}, "cid_2", ""),
    ],
)
def test_two_ways_or_two_clients_are_an_invalid_request(
    headers: dict[str, str], client_id: str, client_secret: str
) -> None:
    refused = shown(headers, client_id, client_secret)
    assert isinstance(refused, Refused)
    assert (refused.error, refused.status) == ("invalid_request", 400)
