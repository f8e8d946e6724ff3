from dataclasses import replace
from typing import Any

import pytest

from portal.identity import managing
from portal.identity.records import find_email_owner, list_users
from portal.partners import records as partners
from portal.permissions import HELD_ON, Permission
from portal.scope import EVERYTHING, Caller
from portal.tree import DIRECT, VENDOR, Node, Tier
from tests.builders import (
    PASSWORD,
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
    sent_mails,
    sign_in,
)
from tests.world import OPERATOR, Answer, World, administrator

ROBIN = {"email": "robin@example.com", "name": "Robin Green", "role": "administrator"}
CUSTOM = ROBIN | {"role": "custom", "permissions": ["dashboard.view"]}


def create(world: World, by: Caller, body: dict[str, Any]) -> Answer:
    return world.call("identity.create_user", by, body=body)


def get(world: World, by: Caller, user_id: str) -> Any:
    return world.call("identity.get_user", by, path={"user_id": user_id}).json


@pytest.fixture
def distributor(world: World) -> Node:
    return a_distributor(world)


def test_a_new_user_is_invited_and_then_signs_in_with_what_was_given(world: World, distributor: Node) -> None:
    deliver_mail(world)
    given = {"permissions": ["audit.view", "account.tasks.manage", "dashboard.view", "audit.view"]}
    answer = create(world, administrator(distributor), CUSTOM | given)
    assert answer.status == 201
    assert answer.json == {
        "user_id": answer.json["user_id"],
        "email": "robin@example.com",
        "pending_email": None,
        "name": "Robin Green",
        "sign_in_type": "email",
        "role": "custom",
        "permissions": ["account.tasks.manage", "audit.view", "dashboard.view"],
        "sees_all": True,
        "state": "invited",
        "two_factor": False,
        "created_at": "2023-01-10T12:00:00Z",
        "accessible_accounts": "all",
    }
    assert get(world, administrator(distributor), answer.json["user_id"]) == answer.json
    said = "Created user robin@example.com (custom: account.tasks.manage, audit.view, dashboard.view)"
    assert audit_trail(distributor).count(("user management", said)) == 1
    credentials = {"email": "robin@example.com", "password": PASSWORD}
    assert world.call("identity.sign_in", body=credentials).status == 401
    [invitation] = deliver_mail(world)
    assert invitation.to == "robin@example.com"
    confirm(world, "robin@example.com")
    caller = bearer(world, sign_in(world, "robin@example.com")["access_token"])
    assert (caller.home, caller.portal) == (distributor, distributor)
    assert caller.permissions == {Permission(each) for each in given["permissions"]}


def test_who_signs_in_with_a_provider_chooses_no_password(world: World, distributor: Node) -> None:
    deliver_mail(world)
    body = ROBIN | {"sign_in_type": "google"}
    user_id = create(world, administrator(distributor), body).json["user_id"]
    [invitation] = deliver_mail(world)
    assert "Google" in invitation.text and "password" not in invitation.text
    token = {"token": link_in(invitation)}
    assert world.call("identity.confirm_email", body=token | {"password": PASSWORD}).status == 400
    assert world.call("identity.confirm_email", body=token).status == 204
    assert get(world, administrator(distributor), user_id)["state"] == "active"


def test_each_tier_has_its_users(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor)
    account = an_account(world, partner)
    for portal in (VENDOR, distributor, partner, account):
        by = OPERATOR if portal is VENDOR else administrator(portal)
        user_id = create(world, by, ROBIN | {"email": an_email()}).json["user_id"]
        for other in {distributor, partner, account} - {portal}:
            path = {"user_id": user_id}
            assert world.call("identity.get_user", administrator(other), path=path).status == 404
        assert get(world, by, user_id)["state"] == "invited"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"role": "custom", "permissions": ["account.restore"]}, "permissions"),
        ({"role": "custom", "permissions": ["operator.billing", "dashboard.view"]}, "permissions"),
        ({"role": "custom", "permissions": ["engine.report"]}, "permissions"),
        ({"role": "custom", "permissions": ["everything"]}, "permissions.0"),
        ({"permissions": ["dashboard.view"]}, "permissions"),
        ({"role": "owner"}, "role"),
        ({"email": "robin"}, "email"),
        ({"name": " "}, "name"),
        ({"sign_in_type": "github"}, "sign_in_type"),
        ({"state": "active"}, "state"),
        ({"accessible_accounts": ["prt_never", "acc_never", "x"]}, "accessible_accounts"),
    ],
)
def test_bad_input_is_refused(world: World, distributor: Node, wrong: dict[str, Any], field: str) -> None:
    answer = create(world, administrator(distributor), ROBIN | wrong)
    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.json["errors"][0]["field"] == field
    assert find_email_owner("robin@example.com") is None


def test_a_tiers_users_hold_what_the_tier_has(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor)
    account = an_account(world, partner)
    beyond = CUSTOM | {"permissions": ["dashboard.view", "billing.manage"]}
    assert create(world, administrator(partner), beyond).status == 400
    # An account's own users are inside already: theirs need nothing that leads there.
    inside = CUSTOM | {"permissions": ["account.tasks.manage"]}
    assert create(world, administrator(account), inside).status == 201
    of_operators = CUSTOM | {"email": an_email(), "permissions": ["operator.billing"]}
    assert create(world, OPERATOR, of_operators).status == 201
    assert create(world, OPERATOR, CUSTOM | {"permissions": ["dashboard.view"]}).status == 400


def test_a_list_names_partners_and_direct_accounts_or_a_partners_accounts(
    world: World, distributor: Node
) -> None:
    partner = a_partner(world, distributor)
    account, direct = an_account(world, partner), an_account(world, distributor)
    foreign = a_distributor(world, an_email())
    foreign_ids = [a_partner(world, foreign, an_email()).partner, an_account(world, foreign).account]
    listed = [direct.account, partner.partner]
    answer = create(world, administrator(distributor), ROBIN | {"accessible_accounts": listed})
    assert answer.json["accessible_accounts"] == sorted(listed)
    assert answer.json["sees_all"] is False
    confirm(world, "robin@example.com")
    caller = bearer(world, sign_in(world, "robin@example.com")["access_token"])
    rows = world.call("partners.list_partners", caller).json["items"]
    assert [row["id"] for row in rows] == [DIRECT, partner.partner]
    answer = create(
        world,
        administrator(distributor),
        ROBIN
        | {"email": an_email(), "accessible_accounts": [*listed, account.account, *foreign_ids, DIRECT]},
    )
    assert answer.status == 400
    named = {each["message"] for each in answer.json["errors"]}
    assert named == {f"There is no {each} here." for each in (account.account, *foreign_ids, DIRECT)}
    of_partner = ROBIN | {"email": an_email(), "accessible_accounts": [account.account]}
    assert create(world, administrator(partner), of_partner).status == 201
    of_partner = ROBIN | {"email": an_email(), "accessible_accounts": [direct.account]}
    assert create(world, administrator(partner), of_partner).status == 400
    for by in (OPERATOR, administrator(account)):
        none = ROBIN | {"email": an_email(), "accessible_accounts": []}
        assert create(world, by, none).json["errors"][0]["field"] == "accessible_accounts"


def test_nobody_gives_more_than_they_hold(world: World, distributor: Node) -> None:
    partner, other = a_partner(world, distributor), a_partner(world, distributor, an_email())
    managing = ["dashboard.view", "users.manage"]
    custom = a_user_of(world, distributor, role="custom", permissions=managing)
    assert create(world, custom, CUSTOM).status == 201
    for beyond in (ROBIN, CUSTOM | {"permissions": ["dashboard.view", "accounts.remove"]}):
        answer = create(world, custom, beyond | {"email": an_email()})
        assert (answer.status, answer.code) == (403, "not_yours_to_give")
    limited = a_user_of(world, distributor, accessible_accounts=[partner.partner])
    assert limited.permissions == HELD_ON[Tier.DISTRIBUTOR] and limited.limited
    own = ROBIN | {"email": an_email(), "accessible_accounts": [partner.partner]}
    assert create(world, limited, own).status == 201
    answer = create(world, limited, ROBIN | {"email": an_email()})
    assert (answer.status, answer.code) == (403, "not_yours_to_give")
    # What it does not see is not there for it.
    answer = create(
        world, limited, ROBIN | {"email": an_email(), "accessible_accounts": [partner.partner, other.partner]}
    )
    assert (answer.status, answer.json["errors"][0]["message"]) == (400, f"There is no {other.partner} here.")


def test_who_entered_acts_with_what_the_token_says(world: World, distributor: Node) -> None:
    account = an_account(world, a_partner(world, distributor))
    inside = [Permission.ACCOUNT_USERS_MANAGE, Permission.ACCOUNT_AUDIT_VIEW, Permission.DASHBOARD_VIEW]
    custom = a_user_of(world, distributor, role="custom", permissions=inside)
    tokens = world.call("identity.access_account", custom, path={"account_id": account.account}).json
    caller = bearer(world, tokens["access_token"])
    assert caller.portal == account and Permission.USERS_MANAGE in caller.permissions
    own = CUSTOM | {"permissions": ["users.manage", "audit.view"]}
    assert create(world, caller, own).status == 201
    assert create(world, caller, ROBIN | {"email": an_email()}).code == "not_yours_to_give"
    support = replace(administrator(account), home=distributor)
    assert create(world, support, ROBIN | {"email": an_email()}).status == 201
    without = replace(caller, permissions=caller.permissions - {Permission.USERS_MANAGE})
    assert create(world, without, own).code == "not_permitted"


def test_an_address_has_one_owner_in_the_whole_portal(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor, "jacob@anderson.example.com")
    for taken in ("jacob@anderson.example.com", " JACOB@Anderson.example.com", "office@north.example.com"):
        for portal in (distributor, partner, a_distributor(world, an_email())):
            answer = create(world, administrator(portal), ROBIN | {"email": taken})
            assert (answer.status, answer.code) == (409, "email_taken")


def test_a_repeat_with_its_key_adds_one(world: World, distributor: Node) -> None:
    by, headers = administrator(distributor), {"idempotency-key": "once"}
    first = world.call("identity.create_user", by, body=ROBIN, headers=headers)
    again = world.call("identity.create_user", by, body=ROBIN, headers=headers)
    assert first.status == again.status == 201
    assert first.json == again.json
    assert world.call("identity.list_users", by, query={"search": "robin"}).json["total"] == 1


class TestPortalsThatAreRemoved:
    """Who is calling was let in before."""

    def test_nobody_is_added_to_one_that_is_gone(self, world: World, distributor: Node) -> None:
        partner, account = a_partner(world, distributor), an_account(world, distributor)
        path, body = {"account_id": account.account}, {"approve_data_removal": True}
        by = administrator(distributor)
        assert world.call("accounts.remove_account", by, path=path, body=body).status == 200
        assert world.call("partners.remove_partner", by, path={"partner_id": partner.partner}).status == 204
        for portal in (partner, account):
            assert create(world, administrator(portal), ROBIN).status == 404
        assert find_email_owner(ROBIN["email"]) is None

    def test_a_removal_takes_who_was_added_meanwhile(
        self, world: World, distributor: Node, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        partner = a_partner(world, distributor)
        find_code, added = partners.find_partner_code, []

        def meanwhile(known: Any) -> Any:
            if not added:
                added.append(create(world, administrator(partner), ROBIN).status)
            return find_code(known)

        monkeypatch.setattr(partners, "find_partner_code", meanwhile)
        path = {"partner_id": partner.partner}
        assert world.call("partners.remove_partner", administrator(distributor), path=path).status == 204
        assert added == [201]
        assert find_email_owner(ROBIN["email"]) is None
        assert list(list_users(EVERYTHING, partner)) == []

    def test_accounts_can_be_added_at_the_same_time(
        self, world: World, distributor: Node, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        partner = a_partner(world, distributor)
        count_mail, tried = managing.count_mail, []

        def meanwhile(*of: Any, **more: Any) -> None:
            tried.append(an_account(world, partner))
            count_mail(*of, **more)

        monkeypatch.setattr(managing, "count_mail", meanwhile)
        assert create(world, administrator(partner), ROBIN).status == 201
        assert len(tried) == 1


class TestMailsToStrangers:
    def test_go_to_one_address_five_times_an_hour(self, world: World, distributor: Node) -> None:
        deliver_mail(world)
        by, answers = administrator(distributor), []
        for capitals in (False, True) * 3:
            email = "VICTIM@elsewhere.example" if capitals else "victim@elsewhere.example"
            answers.append(create(world, by, ROBIN | {"email": email}))
            if answers[-1].status == 201:
                path = {"user_id": answers[-1].json["user_id"]}
                deliver_mail(world)
                assert world.call("identity.remove_user", by, path=path).status == 204
        assert [answer.status for answer in answers] == [201] * 5 + [429]
        assert answers[-1].headers["Retry-After"] == "3600"
        # Not even from another portal.
        elsewhere = administrator(a_distributor(world, an_email()))
        assert create(world, elsewhere, ROBIN | {"email": "victim@elsewhere.example"}).status == 429
        assert create(world, by, ROBIN).status == 201
        sent = [mail.to.lower() for mail in sent_mails()]
        assert sent.count("victim@elsewhere.example") == 5
        world.advance(hours=1)
        assert create(world, by, ROBIN | {"email": "victim@elsewhere.example"}).status == 201

    def test_of_one_portal_have_an_end(
        self, world: World, distributor: Node, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert managing.MAILS_OF_ONE_PORTAL[0] == 100
        monkeypatch.setattr(managing, "MAILS_OF_ONE_PORTAL", (2, managing.MAILS_OF_ONE_PORTAL[1]))
        by, other = administrator(distributor), administrator(a_distributor(world, an_email()))
        answers = [create(world, by, ROBIN | {"email": an_email()}).status for _ in range(3)]
        assert answers == [201, 201, 429]
        assert create(world, other, ROBIN).status == 201
