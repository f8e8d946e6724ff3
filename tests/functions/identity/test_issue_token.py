import base64
from collections import Counter
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from portal import keys
from portal.idempotency import IdempotencyRecord
from portal.identity import grants, throttle
from portal.identity.records import FailedSignIn, SessionOf, User, find_api_client
from portal.journal import AuditEntry
from portal.scope import Caller
from portal.table import query
from portal.tree import VENDOR, Node
from tests.builders import (
    a_partner,
    an_api_key,
    an_authenticator,
    bearer,
    client_tokens,
    sign_in,
)
from tests.support.harness import Harness
from tests.world import OPERATOR, Answer, World


@pytest.fixture
def tokens(world: World, distributor: Node) -> dict[str, Any]:
    return sign_in(world, "office@north.example.com")


def refresh(world: World, token: str) -> Answer:
    return world.call("identity.issue_token", form=f"grant_type=refresh_token&refresh_token={token}")


def test_a_refresh_token_gets_the_next_pair(world: World, tokens: dict[str, Any], distributor: Node) -> None:
    world.advance(minutes=15)
    assert bearer(world, tokens["access_token"]).refused == "token_expired"
    answer = refresh(world, tokens["refresh_token"])
    assert answer.status == 200
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 900)
    assert answer.json["refresh_token"] != tokens["refresh_token"]
    assert bearer(world, answer.json["access_token"]).portal == distributor
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_immediate_predecessor_gets_the_same_successor_for_thirty_seconds(
    world: World, tokens: dict[str, Any]
) -> None:
    first = refresh(world, tokens["refresh_token"])
    world.advance(seconds=30)
    again = refresh(world, tokens["refresh_token"])
    assert again.json["refresh_token"] == first.json["refresh_token"]
    assert bearer(world, again.json["access_token"]).kind == "user"
    assert refresh(world, first.json["refresh_token"]).status == 200


def test_after_thirty_seconds_a_used_token_ends_the_session_and_is_audited(
    world: World, distributor: Node, tokens: dict[str, Any]
) -> None:
    successor = refresh(world, tokens["refresh_token"])
    world.advance(seconds=30.001)
    answer = refresh(world, tokens["refresh_token"])
    assert (answer.status, answer.json["error"]) == (400, "invalid_grant")
    assert refresh(world, successor.json["refresh_token"]).json["error"] == "invalid_grant"
    assert bearer(world, successor.json["access_token"]).refused == "session_ended"
    entry = max(query(AuditEntry, keys.node(distributor), "AUDIT#"), key=lambda each: each.created_at)
    assert (entry.activity, entry.status, entry.performed_by) == (
        "sign-in",
        "failed",
        "office@north.example.com",
    )
    assert entry.description.startswith("Ended a session whose refresh token was used twice (Chrome from ip")


def test_an_older_token_ends_the_session_and_what_was_entered_from_it(
    world: World, distributor: Node
) -> None:
    path = {"partner_id": a_partner(world, distributor).partner}
    for depth in range(1, 6):
        first = latest = sign_in(world, "office@north.example.com")
        for _ in range(depth):
            latest = refresh(world, latest["refresh_token"]).json
        entered = world.request("identity.access_partner", latest["access_token"], path=path).json
        assert refresh(world, entered["refresh_token"]).status == 200
        # The immediate predecessor has 30 seconds; older ones have none.
        world.advance(seconds=31 if depth == 1 else 0)
        assert refresh(world, first["refresh_token"]).json["error"] == "invalid_grant", depth
        for each in (latest, entered):
            assert bearer(world, each["access_token"]).refused == "session_ended", depth
            assert refresh(world, each["refresh_token"]).json["error"] == "invalid_grant", depth


def test_reuse_ends_what_was_entered_from_the_session_too(
    world: World, distributor: Node, tokens: dict[str, Any]
) -> None:
    partner = a_partner(world, distributor)
    me = bearer(world, tokens["access_token"])
    entered = world.call("identity.access_partner", me, path={"partner_id": partner.partner}).json
    assert refresh(world, entered["refresh_token"]).status == 200
    refresh(world, tokens["refresh_token"])
    world.advance(minutes=1)
    refresh(world, tokens["refresh_token"])
    assert bearer(world, entered["access_token"]).refused == "session_ended"
    assert refresh(world, entered["refresh_token"]).json["error"] == "invalid_grant"


def test_a_session_lasts_thirty_days_from_signing_in(world: World, tokens: dict[str, Any]) -> None:
    world.advance(days=29, hours=23, minutes=59, seconds=59)
    last = refresh(world, tokens["refresh_token"])
    assert last.status == 200
    world.advance(seconds=1)
    assert bearer(world, last.json["access_token"]).kind == "anonymous"
    assert refresh(world, last.json["refresh_token"]).json["error"] == "invalid_grant"


def test_what_is_no_refresh_token_is_refused_and_ends_nothing(world: World, tokens: dict[str, Any]) -> None:
    session_id, _, secret = tokens["refresh_token"].partition(".")
    for mangled in (
        "nonsense",
        "dpr_",
        "dpr_.",
        session_id,
        f"dpr_ses_unknown.{secret}",
        f"{session_id}.{secret}".removeprefix("dpr_"),
        "%00%F0%9F%98%80",
        "dpr_" + "a" * 3000 + ".b",
        f"{session_id}.garbage",
        f"{session_id}.{secret}x",
        f"{session_id}.{secret.partition('.')[0]}",
    ):
        answer = refresh(world, mangled)
        assert (answer.status, answer.json["error"]) == (400, "invalid_grant")
    assert bearer(world, tokens["access_token"]).kind == "user"
    assert refresh(world, tokens["refresh_token"]).status == 200


def test_an_access_token_is_no_refresh_token_nor_the_other_way_round(
    world: World, tokens: dict[str, Any]
) -> None:
    assert refresh(world, tokens["access_token"]).json["error"] == "invalid_grant"
    assert bearer(world, tokens["refresh_token"]).refused == "token_unknown"


def test_errors_are_those_of_oauth(world: World) -> None:
    for form, error in (
        ("", "invalid_request"),
        ("grant_type=refresh_token", "invalid_request"),
        ("grant_type=password&username=a&password=b", "unsupported_grant_type"),
        ("grant_type=refresh_token&refresh_token=x&scope=read", "invalid_scope"),
        ("grant_type=client_credentials&client_id=a&client_secret=b&scope=read", "invalid_scope"),
        ("grant_type=refresh_token&refresh_token=x&scope=", "invalid_grant"),
        ("grant_type=refresh_token&refresh_token=x&audience=y", "invalid_grant"),
    ):
        answer = world.call("identity.issue_token", form=form)
        assert (answer.status, answer.json["error"]) == (400, error)
        assert answer.headers["Content-Type"] == "application/json"


def test_a_repeated_parameter_is_refused(world: World, tokens: dict[str, Any]) -> None:
    token = tokens["refresh_token"]
    form = f"grant_type=refresh_token&refresh_token={token}&refresh_token={token}"
    answer = world.call("identity.issue_token", form=form)
    assert (answer.status, answer.code) == (400, "invalid")
    assert [each["field"] for each in answer.json["errors"]] == ["refresh_token"]
    assert refresh(world, f"{token}&audience=a&audience=b").status == 200


def test_tokens_are_never_kept_for_a_repeated_request(world: World, tokens: dict[str, Any]) -> None:
    form = f"grant_type=refresh_token&refresh_token={tokens['refresh_token']}"
    first, second = (
        world.call("identity.issue_token", OPERATOR, form=form, headers={"Idempotency-Key": "once"})
        for _ in range(2)
    )
    assert first.json["access_token"] != second.json["access_token"]
    assert not list(query(IdempotencyRecord, keys.node(VENDOR), "IDEMPOTENCY"))


def test_json_is_not_taken(world: World) -> None:
    answer = world.call("identity.issue_token", body={"grant_type": "refresh_token", "refresh_token": "x"})
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


class TestClientCredentials:
    """API keys."""

    @pytest.fixture
    def owner(self, world: World, tokens: dict[str, Any]) -> Caller:
        return bearer(world, tokens["access_token"])

    @pytest.fixture
    def key(self, world: World, owner: Caller) -> dict[str, Any]:
        return an_api_key(world, owner)

    def test_a_key_acts_as_its_user_for_an_hour(
        self, world: World, key: dict[str, Any], owner: Caller
    ) -> None:
        answer = ask(world, key)
        assert answer.status == 200
        assert set(answer.json) == {"access_token", "token_type", "expires_in", "refresh_token"}
        assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 3600)
        assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
        caller = bearer(world, answer.json["access_token"])
        assert caller.client_id == key["client_id"]
        assert (caller.user_id, caller.home, caller.portal) == (owner.user_id, owner.home, owner.portal)
        assert caller.permissions == owner.permissions
        assert world.call("partners.list_partners", caller).status == 200
        world.advance(minutes=59, seconds=59)
        assert bearer(world, answer.json["access_token"]).kind == "user"
        world.advance(seconds=1)
        assert bearer(world, answer.json["access_token"]).refused == "token_expired"

    def test_id_and_secret_are_shown_in_any_one_of_three_ways(
        self, world: World, key: dict[str, Any]
    ) -> None:
        client_id, secret = key["client_id"], key["client_secret"]
        in_headers = {"Client-Id": client_id, "CLIENT-SECRET": secret}
        in_body = {"client_id": client_id, "client_secret": secret}
        for headers, form in (
            (basic(client_id, secret), {}),
            ({"authorization": basic(client_id, secret)["Authorization"].replace("Basic", "basic ")}, {}),
            # Form-encoded before they are put together, as RFC 6749 has it, even what need not be.
            (basic(client_id.replace("_", "%5F"), secret.replace("_", "%5f")), {}),
            (basic(client_id, secret), {"client_id": client_id}),
            ({}, in_body),
            (in_headers, {}),
            ({"Authorization": "Bearer expired"}, in_body),
        ):
            answer = request(world, headers, grant_type="client_credentials", **form)
            assert answer.status == 200, (headers, form, answer.text)
        for headers, form in (
            (basic(client_id, secret), in_body),
            (basic(client_id, secret) | in_headers, {}),
            (in_headers, in_body),
            (basic(client_id, secret) | in_headers, in_body),
            (basic(client_id, secret), {"client_id": "cid_another"}),
            (basic(client_id, secret) | {"client-id": "cid_another"}, {}),
        ):
            answer = request(world, headers, grant_type="client_credentials", **form)
            assert (answer.status, answer.json["error"]) == (400, "invalid_request"), (headers, form)

    def test_an_unknown_client_and_a_wrong_secret_are_answered_alike(
        self, world: World, key: dict[str, Any], distributor: Node, harness: Harness
    ) -> None:
        client_id, secret = key["client_id"], key["client_secret"]
        unknown = client_id[:-1] + ("0" if client_id[-1] != "0" else "1")
        answers = [
            request(world, grant_type="client_credentials", client_id=shown_id, client_secret=shown)
            for shown_id, shown in (
                (client_id, secret + "x"),
                (client_id, secret.removeprefix("dps_")),
                (client_id, ""),
                (secret, client_id),
                (client_id.upper(), secret),
                (unknown, secret),
                ("", secret),
                ("\x00|#" * 500, secret),
                ("", ""),
            )
        ]
        answers += [
            request(world, {"Authorization": f"Basic {credentials}"}, grant_type="client_credentials")
            for credentials in (
                "",
                "%%%",
                "Zm9v",
                base64.b64encode(b"\xff:\xff").decode(),
                "Zm9vOmJhcg==",
            )
        ]
        assert {(answer.status, answer.text) for answer in answers} == {(401, answers[0].text)}
        assert answers[0].json["error"] == "invalid_client"
        assert {answer.headers["WWW-Authenticate"].split()[0] for answer in answers} == {"Basic"}
        assert secret.removeprefix("dps_").casefold() not in str(harness.items()).casefold()
        failed = [each for each in sign_ins(distributor) if each.status == "failed"]
        assert [(each.performed_by, each.description) for each in failed] == [
            ("office@north.example.com", "API key Sign in (Failed) Chrome from ip 198.51.100.7.")
        ] * 2
        assert len(list(query(FailedSignIn, keys.failed_sign_in(unknown, world.now, "")[0]))) == 1

    def test_signing_in_with_a_key_is_audited(
        self, world: World, key: dict[str, Any], distributor: Node
    ) -> None:
        world.advance(minutes=1)
        client_tokens(world, key)
        last = sign_ins(distributor)[-1]
        assert (last.status, last.performed_by) == ("completed", "office@north.example.com")
        assert last.description == "API key Sign in (OK) Chrome from ip 198.51.100.7."

    def test_refresh_tokens_rotate_with_and_without_the_secret(
        self, world: World, key: dict[str, Any]
    ) -> None:
        first = client_tokens(world, key)
        second = refresh(world, first["refresh_token"])
        assert (second.status, second.json["expires_in"]) == (200, 3600)
        assert refresh(world, first["refresh_token"]).json["refresh_token"] == second.json["refresh_token"]
        client_id, secret = key["client_id"], key["client_secret"]
        third = request(
            world,
            basic(client_id, secret),
            grant_type="refresh_token",
            refresh_token=second.json["refresh_token"],
        )
        assert third.status == 200
        assert bearer(world, third.json["access_token"]).client_id == client_id
        world.advance(minutes=1)
        assert refresh(world, first["refresh_token"]).json["error"] == "invalid_grant"
        assert bearer(world, third.json["access_token"]).refused == "session_ended"

    def test_a_refresh_token_belongs_to_its_client(
        self, world: World, key: dict[str, Any], owner: Caller, tokens: dict[str, Any]
    ) -> None:
        other, own = an_api_key(world, owner, "Other"), client_tokens(world, key)
        for token in (own["refresh_token"], tokens["refresh_token"]):
            wrong = basic(other["client_id"], other["client_secret"])
            form = {"grant_type": "refresh_token", "refresh_token": token}
            assert request(world, wrong, **form).json["error"] == "invalid_grant"
            assert request(world, client_id=other["client_id"], **form).json["error"] == "invalid_grant"
            forged = request(world, basic(key["client_id"], "dps_wrong"), **form)
            assert (forged.status, forged.json["error"]) == (401, "invalid_client")
            # None of it has used the token up.
            assert refresh(world, token).status == 200

    def test_when_a_key_was_used_last_is_kept_by_the_day(self, world: World, key: dict[str, Any]) -> None:
        def used_on() -> str:
            return str(client(key).last_used_on)

        assert used_on() == "None"
        token = client_tokens(world, key)["refresh_token"]
        assert used_on() == "2023-01-10"
        written = client(key).version
        client_tokens(world, key)
        assert client(key).version == written, "once a day"
        world.advance(hours=12)
        assert refresh(world, token).status == 200
        assert used_on() == "2023-01-11"

    def test_what_ends_a_user_ends_its_keys_on_the_next_request(
        self, world: World, key: dict[str, Any], distributor: Node
    ) -> None:
        tokens = client_tokens(world, key)
        [user] = query(User, keys.node(distributor), keys.user())
        user.update(actions=[User.role.set("custom"), User.permissions.set(["dashboard.view"])])
        assert bearer(world, tokens["access_token"]).permissions == {"dashboard.view"}
        # It sees the accounts that its user sees, and does not depend on its password.
        user.update(actions=[User.limited.set(True), User.session_epoch.set(7)])
        assert bearer(world, tokens["access_token"]).limited
        user.update(actions=[User.state.set("disabled")])
        assert bearer(world, tokens["access_token"]).refused == "user_disabled"
        assert refresh(world, tokens["refresh_token"]).json["error"] == "invalid_grant"
        assert (ask(world, key).status, ask(world, key).json["error"]) == (401, "invalid_client")
        user.update(actions=[User.state.set("active")])
        assert ask(world, key).status == 200
        user.delete()
        assert bearer(world, tokens["access_token"]).refused == "user_disabled"
        assert ask(world, key).json["error"] == "invalid_client"

    def test_a_key_needs_no_second_factor(self, world: World, key: dict[str, Any], distributor: Node) -> None:
        an_authenticator(world, "office@north.example.com")
        assert bearer(world, client_tokens(world, key)["access_token"]).kind == "user"

    def test_a_key_is_not_listed_among_sign_ins(
        self, world: World, key: dict[str, Any], owner: Caller
    ) -> None:
        client_tokens(world, key)
        listed = query(SessionOf, keys.of_user(owner.user_id), keys.SESSIONS)
        assert [each.session_id for each in listed] == [owner.session_id]

    def test_too_many_attempts_have_to_wait_and_a_success_clears_them(
        self, world: World, key: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(grants, "_CLIENT", throttle.Limit(5, timedelta(minutes=15)))
        wrong = key | {"client_secret": "dps_wrong"}
        for _ in range(4):
            assert ask(world, wrong).status == 401
        assert ask(world, key).status == 200
        for _ in range(5):
            assert ask(world, wrong).status == 401
        answer = ask(world, key)
        assert (answer.status, answer.code) == (429, "too_many_attempts")
        assert 0 < int(answer.headers["Retry-After"]) <= 900
        # Others, and the same key from elsewhere, are not held up.
        assert ask(world, key, address="203.0.113.1").status == 200
        world.advance(minutes=15)
        assert ask(world, key).status == 200

    @pytest.mark.races
    def test_many_use_a_key_for_the_first_time_of_the_day_at_once(
        self, world: World, key: dict[str, Any], harness: Harness
    ) -> None:
        for _, outcomes in harness.rounds(16, lambda: ask(world, key), seeds=range(3)):
            assert Counter(outcome.result.status for outcome in outcomes) == {200: 16}
            assert str(client(key).last_used_on) == "2023-01-10"


def request(world: World, headers: dict[str, str] | None = None, **form: str) -> Answer:
    return world.call("identity.issue_token", form=urlencode(form), headers=headers)


def ask(world: World, key: dict[str, Any], address: str = "198.51.100.7") -> Answer:
    """Client credentials in the form."""
    form = {name: key[name] for name in ("client_id", "client_secret")} | {"grant_type": "client_credentials"}
    return world.call("identity.issue_token", form=urlencode(form), address=address)


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def client(key: dict[str, Any]) -> Any:
    return find_api_client(key["client_id"])


def sign_ins(portal: Node) -> list[AuditEntry]:
    return [each for each in query(AuditEntry, keys.node(portal), "AUDIT") if each.activity == "sign-in"]
