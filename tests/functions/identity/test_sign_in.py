from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher

from portal import keys
from portal.change import Change
from portal.identity import passwords, throttle
from portal.identity.records import Credentials, FailedSignIn, Security, User, find_credentials
from portal.journal import AuditEntry
from portal.table import Item, Put, Update, query, stage, write
from portal.tree import VENDOR, Node
from tests.builders import (
    PASSWORD,
    a_distributor,
    a_partner,
    an_account,
    an_authenticator,
    bearer,
    confirm,
    sign_in,
)
from tests.support.harness import Harness
from tests.world import Answer, World, administrator

OFFICE = "office@north.example.com"


def audited(node: Node) -> list[AuditEntry]:
    return [entry for entry in query(AuditEntry, keys.node(node), "AUDIT") if entry.activity == "sign-in"]


def try_it(
    world: World, email: str = OFFICE, password: str = PASSWORD, address: str = "198.51.100.7"
) -> Answer:
    body = {"email": email, "password": password}
    return world.call("identity.sign_in", body=body, address=address)


def the_user(home: Node) -> User:
    [user] = query(User, keys.node(home), keys.user())
    return user


def change(record: Item, **values: Any) -> None:
    write([stage(Update(record, Change(**values)))])


def secure(node: Node, **values: Any) -> None:
    write([stage(Put(Security(keys.node(node), keys.SECURITY, **values)))])


def credentials_of(home: Node) -> Credentials:
    found = find_credentials(the_user(home).user_id)
    assert found is not None
    return found


def test_whoever_confirmed_their_address_signs_in_to_their_portal(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, OFFICE)
    tokens = sign_in(world, " OFFICE@North.example.com ")
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 900
    assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token"}
    caller = bearer(world, tokens["access_token"])
    assert (caller.kind, caller.email, caller.portal) == ("user", OFFICE, distributor)


def test_signing_in_is_audited_with_browser_and_address(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, OFFICE)
    sign_in(world, OFFICE)
    [entry] = audited(distributor)
    assert entry.description == "Native Sign in (OK) Chrome from ip 198.51.100.7."
    assert (entry.status, entry.performed_by, entry.performed_from) == ("completed", OFFICE, None)


def test_a_wrong_password_is_refused_and_audited(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, OFFICE)
    answer = try_it(world, password="wrong one")
    assert (answer.status, answer.code) == (401, "invalid_credentials")
    [entry] = audited(distributor)
    assert entry.description == "Native Sign in (Failed) Chrome from ip 198.51.100.7."
    assert (entry.status, entry.performed_by) == ("failed", OFFICE)


class TestNobodyLearns:
    """Whether an address is known, confirmed, disabled, somebody else's to check, or its portal removed."""

    @staticmethod
    def everybody(world: World) -> dict[str, str]:
        """An address for every reason not to be let in, with the password that was sent."""
        distributor = a_distributor(world)
        confirm(world, OFFICE)
        partners = {}
        for name in ("gone", "disabled", "federated"):
            partners[name] = a_partner(world, distributor, f"{name}@example.com")
            confirm(world, f"{name}@example.com")
        a_partner(world, distributor, "invited@example.com")
        an_account(world, partners["federated"], email="deep@example.com")
        confirm(world, "deep@example.com")
        change(the_user(partners["disabled"]), state="disabled")
        change(the_user(partners["federated"]), sign_in_type="google")
        gone = {"partner_id": partners["gone"].partner}
        assert world.call("partners.remove_partner", administrator(distributor), path=gone).status == 204
        return {
            OFFICE: "wrong one",
            "deep@example.com": "wrong one",
            "invited@example.com": PASSWORD,
            "disabled@example.com": PASSWORD,
            "federated@example.com": PASSWORD,
            "gone@example.com": PASSWORD,
            "nobody@example.com": PASSWORD,
            "#|\u0000\N{GRINNING FACE}": PASSWORD,
        }

    def test_the_answer_and_the_work_are_the_same(
        self, world: World, harness: Harness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        people = self.everybody(world)
        compared: list[str] = []
        verify = passwords._HASHER.verify

        class Counting:
            def verify(self, password_hash: str, password: str) -> bool:
                compared.append(password_hash.rpartition("$")[0].rpartition("$")[0])
                return verify(password_hash, password)

        monkeypatch.setattr(passwords, "_HASHER", Counting())
        answers, calls = [], []
        for email, password in people.items():
            first = len(harness.calls)
            answers.append(try_it(world, email, password))
            calls.append([each.name for each in harness.calls[first:]])
        assert {(answer.status, answer.code) for answer in answers} == {(401, "invalid_credentials")}
        assert len({answer.text for answer in answers}) == 1
        assert len({tuple(answer.headers) for answer in answers}) == 1
        assert compared == ["$argon2id$v=19$m=19456,t=2,p=1"] * len(people)
        same = ["dynamodb.UpdateItem"] * 3 + ["dynamodb.GetItem", "dynamodb.BatchGetItem", "dynamodb.PutItem"]
        assert calls == [same] * len(people)

    def test_what_nobodys_portal_can_be_told_of_is_kept_with_the_address(self, world: World) -> None:
        try_it(world, "Nobody@example.com ")
        pk, _ = keys.failed_sign_in("nobody@example.com", world.now, "")
        [failed] = query(FailedSignIn, pk)
        assert failed.description == "Native Sign in (Failed) Chrome from ip 198.51.100.7."

    def test_what_is_no_address_is_not_kept_as_it_was_typed(self, world: World, harness: Harness) -> None:
        for typed in ("My secret Passphrase", "hunter2@home", "x" * 254):
            try_it(world, typed, "x")
            world.call("identity.forget_password", body={"email": typed})
        stored = str(harness.items()).casefold()
        assert stored.count("sign_in#") == 6
        assert not [each for each in ("secret passphrase", "hunter2", "xxxxxx") if each in stored]

    def test_an_address_that_only_a_tenant_has_is_nobodys(self, world: World) -> None:
        a_distributor(world)
        confirm(world, OFFICE)
        sign_in(world, OFFICE)
        [owner] = query(Item, keys.email(OFFICE)[0])
        change(owner, user_id="", of_tenant=True)
        assert try_it(world).code == "invalid_credentials"


class TestThrottling:
    """Too many attempts wait, whoever they are at."""

    def test_the_eleventh_at_one_address_waits_whether_or_not_anybody_has_it(self, world: World) -> None:
        a_distributor(world)
        confirm(world, OFFICE)
        for email in (OFFICE, "nobody@example.com"):
            answers = [try_it(world, email, "wrong one") for _ in range(11)]
            assert [answer.status for answer in answers] == [401] * 10 + [429]
            assert (answers[-1].code, answers[-1].headers["Retry-After"]) == ("too_many_attempts", "900")
            assert answers[-1].text == try_it(world, email.upper()).text
            # Somebody elsewhere, with the password, is not kept out by it.
            assert try_it(world, email, "wrong one", "203.0.113.9").status == 401
        assert try_it(world).status == 429
        assert try_it(world, address="203.0.113.9").status == 200
        world.advance(minutes=14, seconds=59)
        assert try_it(world).headers["Retry-After"] == "1"
        world.advance(seconds=1)
        assert try_it(world).status == 200

    def test_success_gives_the_count_back(self, world: World) -> None:
        a_distributor(world)
        confirm(world, OFFICE)
        for _ in range(3):
            assert [try_it(world, password="wrong one").status for _ in range(9)] == [401] * 9
            assert try_it(world).status == 200

    def test_one_address_does_not_try_all_users_nor_all_addresses_one_user(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(throttle, "OF_ONE_ADDRESS", throttle.Limit(3, timedelta(minutes=15)))
        monkeypatch.setattr(throttle, "OF_ONE_SUBJECT", throttle.Limit(4, timedelta(hours=1)))
        statuses = [try_it(world, f"{n}@example.com", address=f"2001:db8::{n}").status for n in range(1, 5)]
        assert statuses == [401, 401, 401, 429], "the addresses of one IPv6 network count as one"
        statuses = [try_it(world, "x@example.com", address=f"198.51.100.{n}").status for n in range(1, 6)]
        assert statuses == [401, 401, 401, 401, 429]

    def test_it_is_refused_before_anything_is_looked_at(
        self, world: World, harness: Harness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(throttle, "OF_ONE_CLIENT", throttle.Limit(1, timedelta(minutes=15)))
        try_it(world, "x@example.com")
        first = len(harness.calls)
        assert try_it(world, "x@example.com").status == 429
        counted = ["dynamodb.UpdateItem"] * 2 + ["dynamodb.GetItem"]
        assert [each.name for each in harness.calls[first:]] == counted

    def test_who_is_refused_uses_up_nobody_elses_attempts(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(throttle, "OF_ONE_ADDRESS", throttle.Limit(2, timedelta(minutes=15)))
        monkeypatch.setattr(throttle, "OF_ONE_SUBJECT", throttle.Limit(3, timedelta(hours=1)))
        statuses = [try_it(world, "x@example.com").status for _ in range(6)]
        assert statuses == [401] * 2 + [429] * 4
        assert try_it(world, "x@example.com", address="203.0.113.9").status == 401


class TestMoreIsAsked:
    """Challenges in the place of tokens."""

    def test_a_code_is_asked_of_whoever_has_an_authenticator_app(self, world: World) -> None:
        distributor = a_distributor(world)
        confirm(world, OFFICE)
        an_authenticator(world, OFFICE)
        before = len(audited(distributor))
        answer = try_it(world)
        assert answer.status == 200
        assert (answer.json["challenge"], answer.json["expires_in"]) == ("totp", 600)
        assert set(answer.json) == {"challenge", "challenge_token", "expires_in"}
        assert len(audited(distributor)) == before + 1
        [entry] = [each for each in audited(distributor) if "OK" not in each.description]
        said = "Native Sign in (right so far, asked for a code) Chrome from ip 198.51.100.7."
        assert (entry.description, entry.performed_by) == (said, OFFICE)
        assert entry.status == "completed", "this step"
        assert bearer(world, answer.json["challenge_token"]).refused == "token_unknown"

    def test_an_expired_password_can_only_be_changed(self, world: World) -> None:
        distributor = a_distributor(world)
        confirm(world, OFFICE)
        secure(distributor, password_expires_after_days=30)
        world.advance(days=29, hours=23, minutes=59, seconds=59.999)
        assert "access_token" in try_it(world).json
        world.advance(seconds=0.001)
        answer = try_it(world)
        assert set(answer.json) == {"challenge", "challenge_token", "expires_in"}
        assert answer.json["challenge"] == "password_expired"

    def test_a_portal_that_requires_two_factors_has_an_app_set_up_at_once(self, world: World) -> None:
        distributor = a_distributor(world)
        confirm(world, OFFICE)
        secure(distributor, two_factor_required=True)
        answer = try_it(world).json
        assert (answer["challenge"], answer["expires_in"]) == ("enrol_totp", 600)
        assert set(answer["authenticator"]) == {"secret", "otpauth_uri", "qr_svg"}
        assert answer["authenticator"]["qr_svg"].startswith("<svg")

    def test_an_authenticator_app_is_asked_before_an_expired_password_is_changed(self, world: World) -> None:
        distributor = a_distributor(world)
        confirm(world, OFFICE)
        an_authenticator(world, OFFICE)
        secure(distributor, password_expires_after_days=1, two_factor_required=True)
        world.advance(days=1)
        assert try_it(world).json["challenge"] == "totp"


def test_from_elsewhere_the_right_password_is_denied_and_a_wrong_one_is_wrong(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, OFFICE)
    entry = {"entry_id": "ipe_1", "addresses": ["203.0.113.9"], "description": "", "created_at": ""}
    secure(distributor, ip_restricted=True, ip_entries=[entry])
    assert try_it(world, password="wrong one").code == "invalid_credentials"
    assert try_it(world, "nobody@example.com").code == "invalid_credentials"
    answer = try_it(world)
    assert (answer.status, answer.code) == (403, "access_denied")
    assert [entry.status for entry in audited(distributor)] == ["failed", "failed"]
    assert try_it(world, address="203.0.113.9").status == 200


def test_operators_sign_in_to_the_vendors_own_portal(world: World) -> None:
    event = {"email": "olga@vendor.example.com", "name": "Olga"}
    world.handler("operators.create_first_operator")(event, world.context)
    confirm(world, "olga@vendor.example.com")
    assert bearer(world, sign_in(world, "olga@vendor.example.com")["access_token"]).portal == VENDOR


def test_users_of_an_account_that_is_being_removed_are_out_at_once(world: World) -> None:
    distributor = a_distributor(world)
    account = an_account(world, distributor, email="rosy@example.com")
    confirm(world, "rosy@example.com")
    token = sign_in(world, "rosy@example.com")["access_token"]
    assert bearer(world, token).portal == account
    removed = world.call(
        "accounts.remove_account",
        administrator(distributor),
        path={"account_id": account.account},
        body={"approve_data_removal": True},
    )
    assert removed.status < 300, removed.text
    assert bearer(world, token).refused == "portal_removed"
    answer = try_it(world, "rosy@example.com")
    assert (answer.status, answer.code) == (401, "invalid_credentials")


def test_credentials_are_checked_for_their_form(world: World) -> None:
    for body in (
        {"email": "a@example.com"},
        {"email": "", "password": "x"},
        {"email": "a@example.com", "password": "x" * 129},
        {"email": "a@example.com", "password": "x", "remember": True},
        {"email": ["a@example.com"], "password": "x"},
    ):
        answer = world.call("identity.sign_in", body=body)
        assert (answer.status, answer.code) == (400, "invalid")


def test_a_hash_with_weaker_parameters_is_replaced(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, OFFICE)
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    change(credentials_of(distributor), password_hash=weak)
    sign_in(world, OFFICE)
    assert "m=19456,t=2,p=1" in credentials_of(distributor).password_hash
    assert sign_in(world, OFFICE)["access_token"]
