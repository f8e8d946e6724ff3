from dataclasses import replace

import pytest

from portal.accounts.records import find_renewal
from portal.scope import EVERYTHING
from tests.builders import a_distributor, a_partner, an_account, an_email, the_account
from tests.trees import a_user, store
from tests.world import World, administrator


def test_a_new_account_is_on_trial_and_its_administrator_is_invited(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    world.stream()
    world.messages("Mail")
    body = {"name": "Rosy White", "email": " Rosy.White@Example.com ", "data_center": "eu-central"}
    answer = world.call("accounts.create_account", administrator(partner), body=body)
    assert answer.status == 201
    assert (answer.json["email"], answer.json["account_status"]) == (
        "Rosy.White@example.com",
        "trial_started",
    )
    assert answer.json["data_center"] == "eu-central"
    assert answer.json["trial_ends_at"] == "2023-01-24T12:00:00Z"
    assert "amount" not in answer.json
    path = {"account_id": answer.json["account_id"]}
    assert world.call("accounts.get_account", administrator(partner), path=path).json == answer.json
    world.stream()
    (mail,) = world.messages("Mail")
    assert (mail["template"], mail["to"]) == ("invitation", ["Rosy.White@example.com"])
    assert (
        world.call(
            "partners.get_partner",
            administrator(partner.distributor_node),
            path={"partner_id": partner.partner},
        ).json["account_count"]
        == 1
    )


def test_the_portals_default_subscription_holds_unless_the_request_names_another(world: World) -> None:
    distributor = a_distributor(world, an_email())
    partner = a_partner(world, distributor, an_email())
    annual = {"mode": "subscription_without_trial", "plan": "annual"}
    world.call("subscriptions.set_default_subscription", administrator(distributor), body=annual)
    by_default, named = (
        an_account(world, partner),
        an_account(world, partner, subscription={"mode": "trial_with_expiration"}),
    )
    assert (the_account(by_default).state, the_account(by_default).plan) == ("subscribed", "annual")
    renewal = find_renewal(EVERYTHING, by_default)
    assert renewal is not None
    assert renewal.due_at.isoformat() == "2023-01-10T00:00:00+00:00"
    assert the_account(named).state == "trial"
    assert find_renewal(EVERYTHING, named) is None


def test_a_limited_user_sees_the_account_it_creates(world: World) -> None:
    distributor = a_distributor(world, an_email())
    for portal in (distributor, a_partner(world, distributor, an_email())):
        foreign = an_account(world, portal)
        limited = replace(administrator(portal, "usr_limited"), limited=True)
        store(a_user(limited, world.now, accessible=["acc_other"]))
        answer = world.call("accounts.create_account", limited, body={"name": "Rosy", "email": an_email()})
        path = {"account_id": answer.json["account_id"]}
        assert world.call("accounts.get_account", limited, path=path).status == 200
        path = {"account_id": foreign.account}
        assert world.call("accounts.get_account", limited, path=path).status == 404


def test_an_address_belongs_to_one_account_only(world: World) -> None:
    distributor = a_distributor(world, an_email())
    an_account(world, distributor, email="rosy@example.com")
    body = {"name": "Another", "email": "ROSY@example.com"}
    answer = world.call(
        "accounts.create_account", administrator(a_partner(world, distributor, an_email())), body=body
    )
    assert (answer.status, answer.code) == (409, "email_taken")
    assert world.call("accounts.list_accounts", administrator(distributor)).json["total"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 500},
        {"name": "\u200b"},
        {"name": "Two\nlines"},
        {"email": "nobody"},
        {"subscription": {"mode": "subscription_without_trial"}},
        {"subscription": {"mode": "trial_with_expiration", "plan": "annual"}},
        {"size_bytes": 1},
        {"name": None},
    ],
)
def test_nonsense_is_refused_and_nothing_is_written(world: World, wrong: dict[str, object]) -> None:
    distributor = a_distributor(world, an_email())
    body = {"name": "Rosy", "email": an_email(), **wrong}
    answer = world.call("accounts.create_account", administrator(distributor), body=body)
    assert (answer.status, answer.code) == (400, "invalid")
    assert world.call("accounts.list_accounts", administrator(distributor)).json["total"] == 0


def test_the_same_request_twice_makes_one_account(world: World) -> None:
    distributor = a_distributor(world, an_email())
    body, headers = {"name": "Rosy", "email": an_email()}, {"Idempotency-Key": "once"}
    answers = [
        world.call("accounts.create_account", administrator(distributor), body=body, headers=headers)
        for _ in range(2)
    ]
    assert answers[0].status == answers[1].status == 201
    assert answers[0].json == answers[1].json
    assert world.call("accounts.list_accounts", administrator(distributor)).json["total"] == 1


def test_a_partner_that_is_gone_gets_no_accounts(world: World) -> None:
    distributor = a_distributor(world, an_email())
    partner = a_partner(world, distributor, an_email())
    world.call("partners.remove_partner", administrator(distributor), path={"partner_id": partner.partner})
    body = {"name": "Rosy", "email": an_email()}
    assert world.call("accounts.create_account", administrator(partner), body=body).status == 404
