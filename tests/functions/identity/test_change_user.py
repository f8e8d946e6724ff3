from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from portal.identity import throttle
from portal.identity.records import find_email_owner, find_user
from portal.permissions import Permission
from portal.scope import Caller
from portal.tree import Node
from tests.builders import (
    PASSWORD,
    a_distributor,
    a_partner,
    a_user_of,
    an_account,
    an_api_key,
    an_authenticator,
    an_email,
    audit_trail,
    bearer,
    client_tokens,
    confirm,
    deliver_mail,
    forget_password,
    link_in,
    sent_mails,
    sign_in,
    sign_in_with_code,
)
from tests.world import Answer, World, administrator

MANAGING = ["dashboard.view", "users.manage"]


@pytest.fixture
def distributor(world: World) -> Node:
    return a_distributor(world)


def change(world: World, by: Caller, whom: Caller | str, **values: Any) -> Answer:
    user_id = whom if isinstance(whom, str) else whom.user_id
    return world.call("identity.change_user", by, path={"user_id": user_id}, body=values)


def get(world: World, by: Caller, whom: Caller) -> Any:
    return world.call("identity.get_user", by, path={"user_id": whom.user_id}).json


def tokens_of(world: World, caller: Caller) -> str:
    token: str = sign_in(world, caller.email)["access_token"]
    return token


def test_what_is_given_changes_and_the_rest_stays(world: World, distributor: Node) -> None:
    a_user_of(world, distributor)
    user, by = a_user_of(world, distributor, role="custom", permissions=MANAGING), administrator(distributor)
    before = get(world, by, user)
    known = audit_trail(distributor)
    answer = change(world, by, user, name="Robin Brown")
    assert answer.json == before | {"name": "Robin Brown"} == get(world, by, user)
    answer = change(world, by, user, permissions=["audit.view", "settings.view"])
    assert answer.json["permissions"] == ["audit.view", "settings.view"]
    assert change(world, by, user, role="administrator").json["permissions"] == []
    assert change(world, by, user, role="custom").json["errors"][0]["field"] == "permissions"
    assert change(world, by, user, role="custom", permissions=MANAGING).json["role"] == "custom"
    assert change(world, by, user).status == 200, "nothing to change is nothing wrong"
    assert set(audit_trail(distributor)) - set(known) == {
        ("user management", f"Changed user {user.email}: name to Robin Brown"),
        ("permissions changed", f"Changed user {user.email}: permissions to audit.view, settings.view"),
        ("permissions changed", f"Changed user {user.email}: role to administrator, permissions to nothing"),
        (
            "permissions changed",
            f"Changed user {user.email}: role to custom, permissions to dashboard.view, users.manage",
        ),
    }


def test_permissions_and_states_work_on_the_next_request(world: World, distributor: Node) -> None:
    a_user_of(world, distributor)
    user, by = a_user_of(world, distributor), administrator(distributor)
    token = tokens_of(world, user)
    assert bearer(world, token).may(Permission.AUDIT_VIEW)
    change(world, by, user, role="custom", permissions=MANAGING)
    assert not bearer(world, token).may(Permission.AUDIT_VIEW)
    partner = a_partner(world, distributor)
    change(world, by, user, accessible_accounts=[])
    assert world.call("partners.list_partners", bearer(world, token)).json["total"] == 1
    change(world, by, user, accessible_accounts=[partner.partner])
    assert world.call("partners.list_partners", bearer(world, token)).json["total"] == 2
    assert change(world, by, user, state="disabled").json["state"] == "disabled"
    assert bearer(world, token).refused == "user_disabled"
    credentials = {"email": user.email, "password": PASSWORD}
    assert world.call("identity.sign_in", body=credentials).status == 401
    assert change(world, by, user, state="active").json["state"] == "active"
    assert bearer(world, token).refused == "session_ended", "what was signed out stays so"
    assert bearer(world, tokens_of(world, user)).kind == "user"


def test_who_signs_in_another_way_is_signed_out_of_the_old_one(world: World, distributor: Node) -> None:
    user = a_user_of(world, distributor)
    token = tokens_of(world, user)
    assert change(world, administrator(distributor), user, sign_in_type="google").status == 200
    assert bearer(world, token).refused == "session_ended"
    credentials = {"email": user.email, "password": PASSWORD}
    assert world.call("identity.sign_in", body=credentials).status == 401


def test_nobody_changes_somebody_who_holds_more(world: World, distributor: Node) -> None:
    partner, other = (a_partner(world, distributor, an_email()) for _ in range(2))
    above = a_user_of(world, distributor)
    custom = a_user_of(world, distributor, role="custom", permissions=MANAGING)
    limited = a_user_of(world, distributor, accessible_accounts=[partner.partner])
    elsewhere = a_user_of(
        world, distributor, role="custom", permissions=MANAGING, accessible_accounts=[other.partner]
    )
    refused = [(custom, above), (limited, above), (limited, elsewhere), (limited, custom)]
    for by, whom in refused:
        for values in ({"name": "Other"}, {"state": "disabled"}, {"email": "x@example.com"}, {}):
            answer = change(world, by, whom, **values)
            assert (answer.status, answer.code) == (403, "holds_more")
        path = {"user_id": whom.user_id}
        assert world.call("identity.remove_user", by, path=path).code == "holds_more"
        assert world.call("identity.resend_confirmation", by, path=path).code == "holds_more"
    # What somebody else sees besides is not shown either.
    assert get(world, limited, elsewhere)["accessible_accounts"] == []
    assert change(world, custom, elsewhere, name="Other").status == 200


def test_nobody_gives_more_than_they_hold(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor)
    custom = a_user_of(world, distributor, role="custom", permissions=MANAGING)
    whom = a_user_of(world, distributor, role="custom", permissions=["dashboard.view"])
    for values in ({"role": "administrator"}, {"permissions": ["dashboard.view", "audit.view"]}):
        assert change(world, custom, whom, **values).code == "not_yours_to_give"
        assert change(world, custom, custom, **values).code == "not_yours_to_give"
    limited = a_user_of(world, distributor, accessible_accounts=[partner.partner])
    own = a_user_of(world, distributor, by=limited, accessible_accounts=[])
    assert change(world, limited, own, accessible_accounts="all").code == "not_yours_to_give"
    assert change(world, limited, limited, accessible_accounts="all").code == "not_yours_to_give"
    assert change(world, limited, own, accessible_accounts=[partner.partner]).status == 200


def test_nobody_locks_themselves_out(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor)
    a_user_of(world, distributor)
    user = a_user_of(world, distributor)
    for values in (
        {"state": "disabled"},
        {"role": "custom", "permissions": [*MANAGING, "audit.view"]},
        {"accessible_accounts": [partner.partner]},
        {"sign_in_type": "google"},
    ):
        answer = change(world, user, user, **values)
        assert (answer.status, answer.code) == (409, "locks_you_out"), values
    custom = a_user_of(world, distributor, role="custom", permissions=[*MANAGING, "audit.view"])
    assert change(world, custom, custom, permissions=["dashboard.view"]).code == "locks_you_out"
    assert change(world, custom, custom, permissions=MANAGING, name="Robin").status == 200
    listed = a_user_of(world, distributor, accessible_accounts=[partner.partner])
    assert change(world, listed, listed, accessible_accounts=[]).code == "locks_you_out"
    path = {"user_id": user.user_id}
    assert world.call("identity.remove_user", user, path=path).code == "locks_you_out"


def test_an_active_administrator_is_always_left(world: World, distributor: Node) -> None:
    above = administrator(distributor)
    confirm(world, "office@north.example.com")
    first = bearer(world, sign_in(world, "office@north.example.com")["access_token"])
    invited = world.call(
        "identity.create_user", above, body={"email": an_email(), "name": "R", "role": "administrator"}
    ).json["user_id"]
    for values in ({"state": "disabled"}, {"role": "custom", "permissions": MANAGING}):
        answer = change(world, above, first, **values)
        assert (answer.status, answer.code) == (409, "last_administrator"), "one who is invited is none yet"
    second = a_user_of(world, distributor)
    assert change(world, first, second, state="disabled").status == 200
    assert change(world, above, first, state="disabled").code == "last_administrator"
    assert change(world, first, second, state="active").status == 200
    assert change(world, second, first, role="custom", permissions=MANAGING).status == 200
    assert change(world, second, invited, state="disabled").code == "not_confirmed"
    assert change(world, second, invited, role="custom", permissions=[]).status == 200


class TestEmail:
    def test_another_address_counts_once_it_is_confirmed_there(self, world: World, distributor: Node) -> None:
        user, by = a_user_of(world, distributor), administrator(distributor)
        new, old = "Robin.New@example.com", user.email
        deliver_mail(world)
        answer = change(world, by, user, email=f" {new}")
        assert (answer.json["email"], answer.json["pending_email"]) == (old, new)
        mails = {mail.to: mail for mail in deliver_mail(world)}
        assert set(mails) == {old, new}
        assert new in mails[old].text and "dpl_" not in mails[old].text
        assert sign_in(world, old), "the old address counts meanwhile"
        token = {"token": link_in(mails[new])}
        assert world.call("identity.confirm_email", body=token).status == 204
        shown = get(world, by, user)
        assert (shown["email"], shown["pending_email"]) == (new, None)
        assert find_email_owner(old) is None
        assert sign_in(world, new.upper())
        assert world.call("identity.confirm_email", body=token).code == "invalid_link"
        [notice] = deliver_mail(world)
        assert notice.to == old and new in notice.text
        asked = f"Changed user {old}: e-mail address, once it is confirmed, to {new}"
        for said in (asked, f"Changed e-mail address {old} to {new}"):
            assert audit_trail(distributor).count(("user management", said)) == 1

    def test_who_comes_first_has_the_address(self, world: World, distributor: Node) -> None:
        user, by = a_user_of(world, distributor), administrator(distributor)
        taken = a_user_of(world, distributor)
        assert change(world, by, user, email=taken.email.upper()).code == "email_taken"
        assert change(world, by, user, email="wanted@example.com").status == 200
        deliver_mail(world)
        mail = next(mail for mail in reversed(sent_mails()) if mail.to == "wanted@example.com")
        a_partner(world, distributor, "WANTED@example.com")
        answer = world.call("identity.confirm_email", body={"token": link_in(mail)})
        assert (answer.status, answer.code) == (409, "email_taken")
        shown = get(world, by, user)
        assert (shown["email"], shown["pending_email"]) == (user.email, "wanted@example.com")
        assert sign_in(world, user.email)

    def test_only_the_latest_link_counts_for_a_day(self, world: World, distributor: Node) -> None:
        user, by = a_user_of(world, distributor), administrator(distributor)
        deliver_mail(world)
        links = {}
        for email in ("one@example.com", "two@example.com"):
            change(world, by, user, email=email)
            links[email] = next(link_in(mail) for mail in deliver_mail(world) if mail.to == email)
        for email in ("one@example.com",):
            answer = world.call("identity.confirm_email", body={"token": links[email]})
            assert (answer.status, answer.code) == (400, "invalid_link")
        world.advance(hours=24)
        assert world.call("identity.confirm_email", body={"token": links["two@example.com"]}).status == 400
        change(world, by, user, email="two@example.com")
        [link] = [link_in(mail) for mail in deliver_mail(world) if mail.to == "two@example.com"]
        # Taken back: the present address again.
        assert change(world, by, user, email=user.email).json["pending_email"] is None
        assert world.call("identity.confirm_email", body={"token": link}).status == 400
        assert get(world, by, user)["email"] == user.email

    def test_another_spelling_of_the_same_address_stays_ones_own(
        self, world: World, distributor: Node
    ) -> None:
        user, by = a_user_of(world, distributor), administrator(distributor)
        deliver_mail(world)
        capitals = user.email.replace("person", "Person")
        change(world, by, user, email=capitals)
        [link] = {
            link_in(mail) for mail in deliver_mail(world) if mail.to == capitals and "dpl_" in mail.text
        }
        assert world.call("identity.confirm_email", body={"token": link}).status == 204
        owner = find_email_owner(user.email)
        assert owner is not None and owner.user_id == user.user_id
        assert get(world, by, user)["email"] == capitals

    def test_a_mistyped_address_of_somebody_invited_is_replaced_at_once(
        self, world: World, distributor: Node
    ) -> None:
        by = administrator(distributor)
        partner = a_partner(world, distributor, "jakob@anderson.example.com")
        [mistyped] = [mail for mail in deliver_mail(world) if mail.to == "jakob@anderson.example.com"]
        entered = replace(administrator(partner), home=distributor)
        [first] = world.call("identity.list_users", entered).json["items"]
        answer = change(world, entered, first["user_id"], email="jacob@anderson.example.com")
        assert (answer.json["email"], answer.json["pending_email"]) == ("jacob@anderson.example.com", None)
        body = {"token": link_in(mistyped), "password": PASSWORD}
        assert world.call("identity.confirm_email", body=body).code == "invalid_link"
        confirm(world, "jacob@anderson.example.com")
        assert sign_in(world, "jacob@anderson.example.com")
        # The partner's own address is still the other one, so nobody else gets it.
        taken = {"email": "jakob@anderson.example.com", "name": "Other", "country": "LU"}
        assert world.call("partners.create_partner", by, body=taken).code == "email_taken"
        owner = find_email_owner("jakob@anderson.example.com")
        assert owner is not None and (owner.user_id, owner.of_tenant) == ("", True)

    def test_links_are_not_mailed_without_end(self, world: World, distributor: Node) -> None:
        user, by = a_user_of(world, distributor), administrator(distributor)
        answers = [change(world, by, user, email=an_email()) for _ in range(6)]
        assert [answer.status for answer in answers] == [200] * 5 + [429]
        assert answers[-1].headers["Retry-After"] == "3600"
        stored = find_user(distributor, user.user_id)
        assert stored is not None and stored.pending_email == answers[4].json["pending_email"]
        assert change(world, by, user, name="Robin").status == 200


def test_accounts_have_their_own_administrators(world: World, distributor: Node) -> None:
    account = an_account(world, a_partner(world, distributor), email="rosy@example.com")
    confirm(world, "rosy@example.com")
    customer = bearer(world, sign_in(world, "rosy@example.com")["access_token"])
    colleague = a_user_of(world, account, by=customer, role="custom", permissions=["account.restore"])
    assert (
        change(world, customer, colleague, permissions=["account.tasks.manage", "audit.view"]).status == 200
    )
    permissions = ["dashboard.view", "account.users.manage", "account.audit.view", "account.tasks.manage"]
    support = a_user_of(world, distributor, role="custom", permissions=permissions)
    tokens = world.call("identity.access_account", support, path={"account_id": account.account}).json
    inside = bearer(world, tokens["access_token"])
    assert world.call("identity.list_users", inside).json["total"] == 2
    assert change(world, inside, colleague, permissions=["account.tasks.manage"]).status == 200
    assert change(world, inside, customer, name="Other").code == "holds_more"
    assert change(world, inside, colleague, permissions=["account.restore"]).code == "not_yours_to_give"
    change(world, administrator(distributor), support, permissions=["dashboard.view", "account.audit.view"])
    inside = bearer(world, tokens["access_token"])
    assert change(world, inside, colleague, name="Other").code == "not_permitted"


@pytest.mark.parametrize(
    "decided",
    [{"state": "disabled"}, {"sign_in_type": "google"}, {"role": "administrator"},
     {"permissions": ["audit.view"]}, {"accessible_accounts": []}],
    ids=str,
)  # fmt: skip
def test_what_is_decided_on_a_user_voids_an_address_that_a_thief_asked_for(
    world: World, distributor: Node, decided: dict[str, Any]
) -> None:
    a_user_of(world, distributor)
    by, user = administrator(distributor), a_user_of(world, distributor, role="custom", permissions=MANAGING)
    assert change(world, user, user, email="thief@evil.example").status == 200
    link = link_in(next(mail for mail in deliver_mail(world) if mail.to == "thief@evil.example"))
    assert change(world, by, user, **decided).status == 200
    if "state" in decided:
        assert change(world, by, user, state="active").status == 200
    confirmed = world.call("identity.confirm_email", body={"token": link})
    assert (confirmed.status, confirmed.code) == (400, "invalid_link")
    # An address in the same request is the last word.
    assert change(world, by, user, name="Robin", permissions=["audit.view"], role="custom").status == 200
    assert change(world, by, user, email="own@example.com", permissions=["settings.view"]).status == 200
    link = link_in(next(mail for mail in deliver_mail(world) if mail.to == "own@example.com"))
    assert world.call("identity.confirm_email", body={"token": link}).status == 204


def test_disabling_ends_the_tokens_of_api_keys_for_good(world: World, distributor: Node) -> None:
    by, user = administrator(distributor), a_user_of(world, distributor)
    a_user_of(world, distributor)
    key = an_api_key(world, user)
    before = client_tokens(world, key)
    partner = a_partner(world, distributor)
    inside = world.request(
        "identity.access_partner", before["access_token"], path={"partner_id": partner.partner}
    ).json
    refresh = f"grant_type=refresh_token&refresh_token={before['refresh_token']}"
    assert change(world, by, user, state="disabled").status == 200
    form = f"grant_type=client_credentials&client_id={key['client_id']}&client_secret={key['client_secret']}"
    assert world.call("identity.issue_token", form=form).json["error"] == "invalid_client"
    assert change(world, by, user, state="active").status == 200
    for token in (before["access_token"], inside["access_token"]):
        assert bearer(world, token).refused == "session_ended"
    assert world.call("identity.issue_token", form=refresh).json["error"] == "invalid_grant"
    assert bearer(world, client_tokens(world, key)["access_token"]).user_id == user.user_id


def test_api_keys_do_not_change_how_people_sign_in(world: World, distributor: Node) -> None:
    a_user_of(world, distributor)
    user = a_user_of(world, distributor, role="custom", permissions=MANAGING)
    key = replace(administrator(distributor), client_id="cid_1")
    for given in ({"email": "thief@evil.example"}, {"sign_in_type": "google"}, {"role": "administrator"}):
        answer = change(world, key, user, **given)
        assert (answer.status, answer.code) == (403, "people_only")
    body = {"email": an_email(), "name": "Robin", "role": "administrator"}
    assert world.call("identity.create_user", key, body=body).code == "people_only"
    assert world.call("identity.create_user", key, body=body | {"role": "custom"}).status == 201
    same = change(world, key, user, email=user.email, sign_in_type="email", name="Robin Brown")
    assert (same.status, same.json["name"]) == (200, "Robin Brown")


def test_an_administrator_turns_two_factor_off_for_who_has_lost_the_app(
    world: World, distributor: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, by = a_user_of(world, distributor), administrator(distributor)
    an_authenticator(world, user.email)
    assert "challenge" in sign_in(world, user.email)
    monkeypatch.setattr(throttle, "OF_CODES", (throttle.Limit(1, timedelta(days=1)),))
    throttle.attempt_code(user.user_id, world.now)
    answer = change(world, by, user, two_factor=False)
    assert (answer.status, answer.json["two_factor"]) == (200, False)
    assert "access_token" in sign_in(world, user.email)
    said = ("user management", f"Changed user {user.email}: two-factor authentication to off")
    assert said in audit_trail(distributor)
    deliver_mail(world)
    assert any("has turned off two-factor" in text for text in world.mail_to(user.email))
    throttle.attempt_code(user.user_id, world.now)
    throttle.succeeded_code(user.user_id)
    secret, _ = an_authenticator(world, user.email)
    assert "access_token" in sign_in_with_code(world, user.email, secret), "another app takes its place"


def test_nobody_turns_it_on_for_others_or_off_for_themselves_unproved(
    world: World, distributor: Node
) -> None:
    a_user_of(world, distributor)
    user = a_user_of(world, distributor)
    an_authenticator(world, user.email)
    assert change(world, user, user, two_factor=False).code == "own_two_factor"
    by = administrator(distributor)
    assert change(world, by, user, two_factor=True).code == "invalid"
    key = replace(by, client_id="cid_1")
    assert change(world, key, user, two_factor=False).code == "people_only"
    managing = a_user_of(world, distributor, role="custom", permissions=MANAGING)
    assert change(world, managing, user, two_factor=False).code == "holds_more"
    assert "challenge" in sign_in(world, user.email)


def test_another_sign_in_type_voids_the_password_for_good(world: World, distributor: Node) -> None:
    user, by = a_user_of(world, distributor), administrator(distributor)
    for sign_in_type in ("google", "email"):
        assert change(world, by, user, sign_in_type=sign_in_type).status == 200
        body = {"email": user.email, "password": PASSWORD}
        assert world.call("identity.sign_in", body=body).status == 401
    [mail] = [each for each in forget_password(world, user.email) if each.to == user.email]
    chosen = {"token": link_in(mail), "new": PASSWORD, "confirmation": PASSWORD}
    assert world.call("identity.reset_password", body=chosen).status == 204
    assert bearer(world, sign_in(world, user.email)["access_token"]).user_id == user.user_id
