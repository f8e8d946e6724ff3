import pytest
from pydantic import ValidationError

from portal.errors import Conflict
from portal.identity.records import EmailTaken
from portal.operators.rules import OperatorExists
from portal.permissions import HELD_ON
from portal.tree import VENDOR, Tier
from tests.builders import PASSWORD, a_distributor, bearer, confirm, deliver_mail, link_in, sign_in
from tests.world import World

OLGA = {"email": "olga@vendor.example.com", "name": "Olga"}


def invite(world: World, event: object = None) -> object:
    return world.handler("operators.create_first_operator")(OLGA if event is None else event, world.context)


def test_the_first_operator_is_invited_by_mail_and_nothing_secret_is_answered(world: World) -> None:
    assert invite(world) == {"invited": "olga@vendor.example.com"}
    confirm(world, "olga@vendor.example.com")
    operator = bearer(world, sign_in(world, "olga@vendor.example.com")["access_token"])
    assert (operator.portal, operator.permissions) == (VENDOR, HELD_ON[Tier.VENDOR])
    assert world.call("operators.list_distributors", operator).status == 200


def test_it_is_refused_when_there_is_an_operator(world: World) -> None:
    invite(world)
    confirm(world, "olga@vendor.example.com")
    with pytest.raises(OperatorExists):
        invite(world, {"email": "mallory@example.com", "name": "Mallory"})
    assert deliver_mail(world) == []


def test_until_then_it_can_be_repeated(world: World) -> None:
    invite(world)
    deliver_mail(world)
    world.advance(days=2)
    invite(world)
    confirm(world, "olga@vendor.example.com")
    assert sign_in(world, "olga@vendor.example.com")["access_token"]


def test_an_invitation_to_a_wrong_address_is_replaced(world: World) -> None:
    invite(world, {"email": "olag@vendor.example.com", "name": "Olga"})
    [lost] = deliver_mail(world)
    invite(world)
    body = {"token": link_in(lost), "password": PASSWORD}
    assert world.call("identity.confirm_email", body=body).code == "invalid_link"
    confirm(world, "olga@vendor.example.com")
    a_distributor(world, "olag@vendor.example.com")


@pytest.mark.parametrize("event", [{}, {"email": "x", "name": "Olga"}, {**OLGA, "role": "administrator"}])
def test_bad_input_is_refused(world: World, event: object) -> None:
    with pytest.raises(ValidationError):
        invite(world, event)


def test_an_address_in_use_is_refused(world: World) -> None:
    a_distributor(world, "olga@vendor.example.com")
    with pytest.raises(EmailTaken) as refused:
        invite(world)
    assert isinstance(refused.value, Conflict)
