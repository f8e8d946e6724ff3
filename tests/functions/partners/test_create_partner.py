from dataclasses import replace
from typing import Any

import pytest

from portal import keys
from portal.identity.records import User
from portal.journal import AuditEntry
from portal.table import find_many, query
from portal.tree import Node
from tests.builders import (
    a_distributor,
    a_partner,
    an_account,
    an_email,
    bearer,
    confirm,
    deliver_mail,
    sign_in,
)
from tests.trees import a_user, store
from tests.world import OPERATOR, Answer, World, administrator

DISCOUNT_STORE = {"name": "Jacob Anderson", "email": "jacob@anderson.example.com", "country": "Israel"}


def create(world: World, distributor: Node, **values: Any) -> Answer:
    return world.call("partners.create_partner", administrator(distributor), body=DISCOUNT_STORE | values)


def test_a_new_partner_is_there_with_all_that_was_given(world: World) -> None:
    distributor = a_distributor(world)
    given = {"contact_person": "Joan", "partner_id": "DDEVR002", "data_center": "eu-central"}
    answer = create(world, distributor, **given)
    assert answer.status == 201
    assert answer.json == DISCOUNT_STORE | given | {
        "id": answer.json["id"],
        "pending_email": None,
        "account_count": 0,
        "created_at": "2023-01-10T12:00:00Z",
    }
    path = {"partner_id": answer.json["id"]}
    assert world.call("partners.get_partner", administrator(distributor), path=path).json == answer.json


def test_without_a_code_the_partner_id_is_the_generated_one(world: World) -> None:
    partner = create(world, a_distributor(world)).json
    assert partner["id"].startswith("prt_")
    assert partner["partner_id"] == partner["id"]


def test_its_first_administrator_is_invited_to_the_new_portal(world: World) -> None:
    distributor = a_distributor(world)
    deliver_mail(world)
    partner = distributor.child(create(world, distributor).json["id"])
    [invitation] = deliver_mail(world)
    assert invitation.to == "jacob@anderson.example.com"
    confirm(world, "jacob@anderson.example.com")
    caller = bearer(world, sign_in(world, "jacob@anderson.example.com")["access_token"])
    assert caller.portal == caller.home == partner


def test_an_email_address_belongs_to_one_partner_account_or_user(world: World) -> None:
    distributor, other = a_distributor(world), a_distributor(world, "office@south.example.com")
    create(world, distributor)
    an_account(world, distributor, email="rosy@example.com")
    for email in (
        "jacob@anderson.example.com",
        " JACOB@Anderson.EXAMPLE.com ",
        "rosy@example.com",
        "office@north.example.com",
    ):
        answer = create(world, other, email=email)
        assert (answer.status, answer.code) == (409, "email_taken")
    rows = world.call("partners.list_partners", administrator(other)).json
    assert rows["total"] == 1


def test_a_partner_id_is_given_once_per_distributor(world: World) -> None:
    distributor, other = a_distributor(world), a_distributor(world, "office@south.example.com")
    a_partner(world, distributor, an_email(), partner_id="DDEVR002")
    answer = create(world, distributor, partner_id="ddevr002")
    assert (answer.status, answer.code) == (409, "partner_id_taken")
    assert create(world, other, partner_id="DDEVR002").status == 201


@pytest.mark.parametrize(
    "code", ["direct", "DIRECT", "prt_mine", "PRT_x", "a/b", "", " ", "x" * 65, "a#b", 7]
)
def test_a_partner_id_has_a_form_and_is_not_reserved(world: World, code: Any) -> None:
    answer = create(world, a_distributor(world), partner_id=code)
    assert (answer.status, [error["field"] for error in answer.json["errors"]]) == (400, ["partner_id"])


def test_a_limited_user_sees_what_it_creates_and_still_nothing_else(world: World) -> None:
    distributor = a_distributor(world)
    caller = replace(administrator(distributor, "usr_limited"), limited=True)
    store(a_user(caller, world.now, accessible=[]))
    foreign = a_partner(world, distributor, an_email())
    for _ in range(2):
        answer = world.call("partners.create_partner", caller, body=DISCOUNT_STORE | {"email": an_email()})
        path = {"partner_id": answer.json["id"]}
        assert world.call("partners.get_partner", caller, path=path).status == 200
    assert world.call("partners.list_partners", caller).json["total"] == 2 + 1
    assert world.call("partners.get_partner", caller, path={"partner_id": foreign.partner}).status == 404


def test_a_direct_partner_has_no_partners(world: World) -> None:
    answer = create(world, a_distributor(world, business="direct_partner"))
    assert (answer.status, answer.code) == (409, "no_partners_here")


def test_bad_input_is_refused_by_field_and_nothing_is_written(world: World) -> None:
    distributor = a_distributor(world)
    deliver_mail(world)
    for values, field in (
        ({"name": "  "}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": None}, "name"),
        ({"email": "no address"}, "email"),
        ({"email": "a@b"}, "email"),
        ({"email": "a@example.com, b@example.com"}, "email"),
        ({"email": "a@example.com\r\nBcc: b@example.com"}, "email"),
        ({"email": "x" * 250 + "@example.com"}, "email"),
        ({"country": ""}, "country"),
        ({"name": "\u200b"}, "name"),
        ({"name": "\u3164 \u0301"}, "name"),
        ({"country": "\u200b\u2060"}, "country"),
        ({"distributor_id": "dst_other"}, "distributor_id"),
    ):
        answer = create(world, distributor, **values)
        assert (answer.status, answer.code) == (400, "invalid")
        assert [error["field"] for error in answer.json["errors"]] == [field]
    assert deliver_mail(world) == []
    assert world.call("partners.list_partners", administrator(distributor)).json["total"] == 1


def test_a_repeated_post_with_a_key_creates_one_partner(world: World) -> None:
    distributor = a_distributor(world)
    headers = {"Idempotency-Key": "once"}
    first, second = (
        world.call(
            "partners.create_partner", administrator(distributor), body=DISCOUNT_STORE, headers=headers
        )
        for _ in range(2)
    )
    assert (second.status, second.json) == (201, first.json)
    assert world.call("partners.list_partners", administrator(distributor)).json["total"] == 2


def test_it_is_audited(world: World) -> None:
    distributor = a_distributor(world)
    create(world, distributor)
    [entry] = query(AuditEntry, keys.node(distributor), "AUDIT")
    assert (entry.activity, entry.account, entry.description) == (
        "partner created",
        "jacob@anderson.example.com",
        "Created partner Jacob Anderson",
    )


def test_only_distributors_create_partners(world: World) -> None:
    distributor = a_distributor(world)
    partner = a_partner(world, distributor)
    for caller in (administrator(partner), OPERATOR):
        assert world.call("partners.create_partner", caller, body=DISCOUNT_STORE).status == 403
    assert not find_many(User, [(keys.node(Node("dst_x")), keys.user("usr_x"))])
