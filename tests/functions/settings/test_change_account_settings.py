from typing import Any

import pytest

from portal.identity.records import find_email_owner
from portal.permissions import Permission
from portal.tree import Node
from tests.builders import (
    Mail,
    a_distributor,
    a_partner,
    a_user_of,
    an_account,
    an_email,
    audit_trail,
    bearer,
    confirm,
    deliver_mail,
    link_in,
    sign_in,
)
from tests.world import OPERATOR, Answer, World, administrator


def change(world: World, portal: Node, **values: Any) -> Answer:
    return world.call("settings.change_account_settings", administrator(portal), body=values)


def get(world: World, portal: Node) -> Any:
    return world.call("settings.get_account_settings", administrator(portal)).json


def mail_to(mails: list[Mail], address: str) -> Mail:
    [found] = [mail for mail in mails if mail.to == address]
    return found


@pytest.fixture
def portals(world: World) -> list[Node]:
    distributor = a_distributor(world)
    partner = a_partner(world, distributor, partner_id="DDEVR002")
    account = an_account(world, partner, email="rosy@example.com")
    deliver_mail(world)
    return [distributor, partner, account]


def test_what_is_given_changes_and_the_rest_stays(world: World, portals: list[Node]) -> None:
    for portal in portals:
        before = get(world, portal)
        answer = change(
            world, portal, name="Renamed", phone="+352 (27) 12-34.5", address=["1 Main St", "Town"]
        )
        after = {"name": "Renamed", "phone": "+3522712345", "address": ["1 Main St", "Town"]}
        assert answer.json == before | after == get(world, portal)
        said = (
            f"Changed the settings of {before['name']}: name to Renamed, address to 1 Main St, Town, phone to"
        )
        assert ("changed account name", f"{said} +3522712345") in audit_trail(portal)
        assert change(world, portal, phone=None).json == before | after | {"phone": None}
        assert ("settings changed", "Changed the settings of Renamed: phone to nothing") in audit_trail(
            portal
        )
        assert change(world, portal, name="Renamed").status == 200, "nothing to change is nothing wrong"
    partner = portals[1]
    path = {"partner_id": partner.partner}
    shown = world.call("partners.get_partner", administrator(portals[0]), path=path).json
    assert (shown["name"], shown["partner_id"]) == ("Renamed", "DDEVR002")


def test_another_address_counts_once_it_is_confirmed_there(world: World, portals: list[Node]) -> None:
    for portal in portals:
        old, new = get(world, portal)["email"], an_email()
        confirm(world, old)
        answer = change(world, portal, email=new)
        assert (answer.json["email"], answer.json["pending_email"]) == (old, new)
        mails = deliver_mail(world)
        assert new in mail_to(mails, old).text and "dpl_" not in mail_to(mails, old).text
        token = {"token": link_in(mail_to(mails, new))}
        assert world.call("identity.confirm_email", body=token).status == 204
        shown = get(world, portal)
        assert (shown["email"], shown["pending_email"]) == (new, None)
        assert world.call("identity.confirm_email", body=token).code == "invalid_link"
        assert new in mail_to(deliver_mail(world), old).text
        # The first administrator still signs in with the old one.
        assert bearer(world, sign_in(world, old)["access_token"]).portal == portal
        owners = [find_email_owner(address) for address in (old, new)]
        assert [owner and (bool(owner.user_id), owner.of_tenant) for owner in owners] == [
            (True, False),
            (False, True),
        ]
        said = f"Changed the account's e-mail address {old} to {new}"
        assert ("settings changed", said) in audit_trail(portal)


def test_an_address_is_taken_as_long_as_user_or_tenant_have_it(world: World, portals: list[Node]) -> None:
    distributor, old, new = portals[0], an_email(), an_email()
    partner = a_partner(world, distributor, old)

    def is_free(address: str) -> bool:
        body = {"name": "Other", "email": address, "country": "LU"}
        answer = world.call("partners.create_partner", administrator(distributor), body=body)
        return answer.status == 201

    confirm(world, old)
    a_user_of(world, partner)
    change(world, partner, email=new)
    link = link_in(mail_to(deliver_mail(world), new))
    assert world.call("identity.confirm_email", body={"token": link}).status == 204
    assert not is_free(old) and not is_free(new)
    [first] = world.call("identity.list_users", administrator(partner), query={"search": old}).json["items"]
    path = {"user_id": first["user_id"]}
    assert world.call("identity.remove_user", administrator(partner), path=path).status == 204
    assert is_free(old) and not is_free(new)
    path = {"partner_id": partner.partner}
    assert world.call("partners.remove_partner", administrator(distributor), path=path).status == 204
    assert is_free(new)


def test_who_comes_first_has_the_address(world: World, portals: list[Node]) -> None:
    distributor, partner, account = portals
    own = a_user_of(world, partner)
    assert change(world, partner, email="rosy@example.com").code == "email_taken"
    assert change(world, partner, email="office@north.example.com").code == "email_taken"
    assert change(world, account, email="wanted@example.com").status == 200
    assert change(world, partner, email="wanted@example.com").status == 200
    deliver = deliver_mail(world)
    links = [link_in(mail) for mail in deliver if mail.to == "wanted@example.com"]
    answers = [world.call("identity.confirm_email", body={"token": link}) for link in links]
    assert sorted(answer.status for answer in answers) == [204, 409]
    taken = [get(world, portal)["email"] for portal in (account, partner)]
    assert taken.count("wanted@example.com") == 1
    # One of its own users' address can be the partner's as well.
    assert change(world, partner, email=own.email).status == 200
    assert change(world, distributor, email=own.email).code == "email_taken"
    link = next(link_in(mail) for mail in deliver_mail(world) if mail.to == own.email)
    assert world.call("identity.confirm_email", body={"token": link}).status == 204
    owner = find_email_owner(own.email)
    assert owner is not None and (owner.user_id, owner.of_tenant) == (own.user_id, True)


def test_only_the_latest_link_counts_for_a_day(world: World, portals: list[Node]) -> None:
    for portal in portals:
        links = []
        addresses = [an_email(), an_email()]
        for email in addresses:
            change(world, portal, email=email)
            links.append(link_in(mail_to(deliver_mail(world), email)))
        assert world.call("identity.confirm_email", body={"token": links[0]}).code == "invalid_link"
        world.advance(hours=24)
        assert world.call("identity.confirm_email", body={"token": links[1]}).code == "invalid_link"
        change(world, portal, email=addresses[1])
        link = link_in(mail_to(deliver_mail(world), addresses[1]))
        present = get(world, portal)["email"]
        assert change(world, portal, email=present).json["pending_email"] is None
        assert world.call("identity.confirm_email", body={"token": link}).code == "invalid_link"
        assert get(world, portal)["email"] == present


def test_resellers_ask_for_another_address_of_what_is_theirs(world: World, portals: list[Node]) -> None:
    distributor, partner, account = portals
    for operation, by, path in (
        ("partners.change_partner", distributor, {"partner_id": partner.partner}),
        ("accounts.change_account", partner, {"account_id": account.account}),
    ):
        new = an_email()
        answer = world.call(operation, administrator(by), path=path, body={"email": new})
        assert answer.json["pending_email"] == new
        link = link_in(mail_to(deliver_mail(world), new))
        assert world.call("identity.confirm_email", body={"token": link}).status == 204
        taken = world.call(
            operation, administrator(by), path=path, body={"email": "office@north.example.com"}
        )
        assert (taken.status, taken.code) == (409, "email_taken")
        deliver_mail(world)
    assert (
        world.call("accounts.get_account", administrator(partner), path={"account_id": account.account}).json[
            "email"
        ]
        == get(world, account)["email"]
        == new
    )


def test_an_account_that_is_being_removed_gets_no_other_address(world: World, portals: list[Node]) -> None:
    _, partner, account = portals
    new = an_email()
    change(world, account, email=new)
    link = link_in(mail_to(deliver_mail(world), new))
    path, body = {"account_id": account.account}, {"approve_data_removal": True}
    assert world.call("accounts.remove_account", administrator(partner), path=path, body=body).status == 200
    assert world.call("identity.confirm_email", body={"token": link}).code == "invalid_link"
    assert find_email_owner(new) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"phone": "12345678"},
        {"phone": "+0123456789"},
        {"phone": "+12345"},
        {"phone": "+1234567890123456"},
        {"phone": "+49 89 1234x5"},
        {"phone": "+49\u0661\u0662\u0663\u0664\u0665\u0666"},
        {"name": ""},
        {"name": None},
        {"email": "rosy"},
        {"address": ["x"] * 7},
        {"partner_id": "MINE"},
        {"archive_location": "eu"},
        {"office_address": ["x"]},
    ],
)
def test_bad_input_is_refused(world: World, wrong: dict[str, Any]) -> None:
    answer = change(world, a_distributor(world), **wrong)
    assert (answer.status, answer.code) == (400, "invalid")


def test_it_takes_the_permission(world: World, portals: list[Node]) -> None:
    for portal in portals[:2]:
        viewer = a_user_of(world, portal, role="custom", permissions=[Permission.SETTINGS_VIEW])
        assert world.call("settings.get_account_settings", viewer).status == 200
        answer = world.call("settings.change_account_settings", viewer, body={"name": "Other"})
        assert (answer.status, answer.code) == (403, "not_permitted")
    assert world.call("settings.get_account_settings", OPERATOR).status == 403
