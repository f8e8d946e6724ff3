import pytest

from portal import keys
from portal.journal import AuditEntry
from portal.table import query
from portal.tree import Node
from tests.builders import a_partner, bearer, confirm, sign_in
from tests.functions.identity.test_list_sessions import a_key, sign_in_with_key
from tests.world import Answer, World

EMAIL = "office@north.example.com"


@pytest.fixture
def token(world: World, distributor: Node) -> str:
    access_token: str = sign_in(world, EMAIL)["access_token"]
    return access_token


def end(world: World, token: str, session_id: str) -> Answer:
    return world.request("identity.end_session", token, path={"session_id": session_id})


def test_it_ends_with_all_that_was_entered_from_it(world: World, distributor: Node, token: str) -> None:
    other = sign_in(world, EMAIL)
    path = {"partner_id": a_partner(world, distributor).partner}
    entered = world.request("identity.access_partner", other["access_token"], path=path).json
    session_id = bearer(world, other["access_token"]).session_id
    assert end(world, token, session_id).status == 204
    for each in (other, entered):
        assert bearer(world, each["access_token"]).refused == "session_ended"
        form = f"grant_type=refresh_token&refresh_token={each['refresh_token']}"
        assert world.call("identity.issue_token", form=form).json["error"] == "invalid_grant"
    assert bearer(world, token).kind == "user"
    assert end(world, token, session_id).status == 404


def test_it_is_audited_at_home(world: World, distributor: Node, token: str) -> None:
    partner = a_partner(world, distributor)
    other = bearer(world, sign_in(world, EMAIL)["access_token"]).session_id
    path = {"partner_id": partner.partner}
    inside = world.request("identity.access_partner", token, path=path).json["access_token"]
    assert end(world, inside, other).status == 204
    said = [
        (node, entry.activity, entry.performed_by)
        for node in (distributor, partner)
        for entry in query(AuditEntry, keys.node(node), "AUDIT")
        if entry.description == "Ended the session of Chrome from ip 198.51.100.7"
    ]
    assert said == [(distributor, "sign-in", EMAIL)]


def test_ending_the_present_one_signs_out(world: World, token: str) -> None:
    assert end(world, token, bearer(world, token).session_id).status == 204
    assert bearer(world, token).refused == "session_ended"


def test_what_is_foreign_unknown_or_no_sign_in_is_not_there(
    world: World, distributor: Node, token: str
) -> None:
    partner = a_partner(world, distributor, "jacob@example.com")
    confirm(world, "jacob@example.com")
    foreign = sign_in(world, "jacob@example.com")["access_token"]
    path = {"partner_id": partner.partner}
    entered = world.request("identity.access_partner", token, path=path).json["access_token"]
    for session_id in (
        bearer(world, foreign).session_id,
        bearer(world, entered).session_id,
        "ses_unknown",
        "cid_1",
    ):
        assert end(world, token, session_id).status == 404
    assert bearer(world, foreign).kind == bearer(world, entered).kind == "user"


def test_an_api_key_ends_none_and_has_none_to_be_ended(world: World, token: str) -> None:
    by_key = sign_in_with_key(world, a_key(world, token))
    answer = end(world, by_key, bearer(world, token).session_id)
    assert (answer.status, answer.code) == (403, "people_only")
    assert end(world, token, bearer(world, by_key).session_id).status == 404
    assert bearer(world, token).kind == bearer(world, by_key).kind == "user"


def test_it_is_for_who_is_signed_in(world: World) -> None:
    assert end(world, "", "ses_1").status == 401
