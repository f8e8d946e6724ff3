from portal.scope import Caller
from tests.builders import (
    PASSWORD,
    a_distributor,
    a_user_of,
    audit_trail,
    deliver_mail,
    link_in,
)
from tests.world import Answer, World, administrator

ROBIN = {"email": "robin@example.com", "name": "Robin Green", "role": "administrator"}


def resend(world: World, by: Caller, user_id: str) -> Answer:
    return world.call("identity.resend_confirmation", by, path={"user_id": user_id})


def confirmed(world: World, token: str) -> int:
    return world.call("identity.confirm_email", body={"token": token, "password": PASSWORD}).status


def test_another_link_voids_the_earlier_ones_at_once(world: World) -> None:
    distributor = a_distributor(world)
    by = administrator(distributor)
    user_id = world.call("identity.create_user", by, body=ROBIN).json["user_id"]
    [first] = [mail for mail in deliver_mail(world) if mail.to == ROBIN["email"]]
    answer = resend(world, by, user_id)
    assert (answer.status, answer.text) == (204, "")
    assert ("user management", "Sent robin@example.com another invitation") in audit_trail(distributor)
    assert confirmed(world, link_in(first)) == 400
    [second] = deliver_mail(world)
    assert second.to == ROBIN["email"]
    assert confirmed(world, link_in(second)) == 204
    answer = resend(world, by, user_id)
    assert (answer.status, answer.code) == (409, "already_confirmed")


def test_nobody_is_mailed_without_end(world: World) -> None:
    distributor = a_distributor(world)
    by = administrator(distributor)
    user_id = world.call("identity.create_user", by, body=ROBIN).json["user_id"]
    answers = [resend(world, by, user_id) for _ in range(6)]
    # The invitation itself was one of five mails to this address.
    assert [answer.status for answer in answers] == [204] * 4 + [429] * 2
    assert answers[-1].headers["Retry-After"] == "3600"
    world.advance(hours=1)
    assert resend(world, by, user_id).status == 204
    active = a_user_of(world, distributor)
    assert resend(world, by, active.user_id).code == "already_confirmed"
