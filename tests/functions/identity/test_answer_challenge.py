from datetime import timedelta
from typing import Any

import pytest

from portal import keys
from portal.change import Change
from portal.identity import challenges, throttle
from portal.identity.records import Challenge, Security, SessionOf, User, find_credentials
from portal.identity.tokens import hashed
from portal.journal import AuditEntry
from portal.scope import Origin
from portal.table import Put, Update, find, query, stage, write
from portal.tree import Node
from tests.builders import (
    PASSWORD,
    an_authenticator,
    bearer,
    code_of,
    deliver_mail,
    sign_in,
    sign_in_with_code,
)
from tests.support.harness import Harness
from tests.world import Answer, World

OFFICE = "office@north.example.com"
NEW = "another walk on a brighter morning"


@pytest.fixture
def secret(world: World, distributor: Node) -> str:
    secret, _ = an_authenticator(world, OFFICE)
    world.advance(minutes=1)
    return secret


def begin(world: World, password: str = PASSWORD) -> str:
    """The token of the challenge that signing in leads to."""
    answer = world.call("identity.sign_in", body={"email": OFFICE, "password": password})
    token: str = answer.json["challenge_token"]
    return token


def answer(world: World, token: str, address: str = "198.51.100.7", **given: str) -> Answer:
    body = {"challenge_token": token, **given}
    return world.call("identity.answer_challenge", body=body, address=address)


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


def the_user(home: Node) -> User:
    [user] = query(User, keys.node(home), keys.user())
    return user


def change_user(home: Node, **values: Any) -> None:
    write([stage(Update(the_user(home), Change(**values)))])


def secure(node: Node, **values: Any) -> None:
    known = find(Security, keys.node(node), keys.SECURITY)
    made = Security(keys.node(node), keys.SECURITY, **values)
    write([stage(Update(known, Change(**values)) if known else Put(made))])


def told(node: Node) -> list[tuple[str, str]]:
    """Outcome and description of the audit trail's latest entries, newest first."""
    found = query(AuditEntry, keys.node(node), "AUDIT", newest_first=True)
    return [(entry.status, entry.description) for entry in found]


OVER = (401, "challenge_over")
WRONG = (401, "wrong_answer")


class TestCode:
    """The step `totp`."""

    def test_the_apps_code_completes_the_sign_in(self, world: World, distributor: Node, secret: str) -> None:
        token = begin(world)
        answered = answer(world, token, code=code_of(world, secret))
        assert answered.status == 200, answered.text
        assert set(answered.json) == {"access_token", "token_type", "expires_in", "refresh_token"}
        caller = bearer(world, answered.json["access_token"])
        assert (caller.email, caller.portal) == (OFFICE, distributor)
        assert told(distributor)[0] == (
            "completed",
            "Native Sign in with code (OK) Chrome from ip 198.51.100.7.",
        )
        # Used: it gets nobody in again, with whatever code.
        assert refused(answer(world, token, code=code_of(world, secret, steps=1))) == OVER

    def test_a_code_is_good_one_step_early_or_late_and_once(self, world: World, secret: str) -> None:
        for steps, good in (
            (-2, False),
            (2, False),
            (-1, True),
            (-1, False),
            (0, True),
            (1, True),
            (0, False),
        ):
            answered = answer(world, begin(world), code=code_of(world, secret, steps=steps))
            assert answered.status == (200 if good else 401), steps

    def test_the_code_that_turned_it_on_is_used_up(self, world: World, distributor: Node) -> None:
        secret, _ = an_authenticator(world, OFFICE)
        assert refused(answer(world, begin(world), code=code_of(world, secret))) == WRONG

    def test_a_recovery_code_gets_in_once_however_it_is_typed(self, world: World, distributor: Node) -> None:
        _, codes = an_authenticator(world, OFFICE)
        assert len(set(codes)) == 10
        for code in (codes[0], f" {codes[1].upper()}", codes[2].replace("-", "")):
            world.advance(seconds=1)
            assert answer(world, begin(world), recovery_code=code).status == 200
            world.advance(seconds=1)
            assert refused(answer(world, begin(world), recovery_code=code)) == WRONG
        tried = [each for each in told(distributor) if "with recovery code" in each[1]]
        from_here = "Chrome from ip 198.51.100.7."
        assert tried[:2] == [
            ("failed", f"Native Sign in with recovery code (Failed) {from_here}"),
            ("completed", f"Native Sign in with recovery code (OK) {from_here}"),
        ]
        credentials = find_credentials(the_user(distributor).user_id)
        assert credentials is not None
        assert len(credentials.recovery_hashes) == 7
        assert not set(codes) & set(credentials.recovery_hashes)

    def test_after_five_wrong_answers_the_right_one_is_too_late(
        self, world: World, distributor: Node, secret: str
    ) -> None:
        token, other = begin(world), begin(world)
        wrong = code_of(world, secret, steps=50)
        assert [refused(answer(world, token, code=wrong)) for _ in range(5)] == [WRONG] * 5
        assert refused(answer(world, token, code=code_of(world, secret))) == OVER
        assert [status for status, _ in told(distributor)[:5]] == ["failed"] * 5
        assert told(distributor)[0][1] == "Native Sign in with code (Failed) Chrome from ip 198.51.100.7."
        assert answer(world, other, code=code_of(world, secret)).status == 200

    def test_whoever_has_the_password_does_not_guess_on_from_challenge_to_challenge(
        self, world: World, secret: str
    ) -> None:
        wrong = code_of(world, secret, steps=50)
        statuses = [answer(world, begin(world), code=wrong).status for _ in range(11)]
        assert statuses == [401] * 10 + [429]
        late = answer(world, begin(world), code=code_of(world, secret))
        assert refused(late) == (429, "too_many_attempts")
        world.advance(seconds=int(late.headers["Retry-After"]))
        assert answer(world, begin(world), code=code_of(world, secret)).status == 200

    def test_right_answers_do_not_count(
        self, world: World, secret: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(throttle, "OF_CODES", (throttle.Limit(1, timedelta(hours=1)),))
        for _ in range(3):
            sign_in_with_code(world, OFFICE, secret)


class TestExpiredPassword:
    """The step `password_expired`."""

    @pytest.fixture(autouse=True)
    def expiry(self, world: World, distributor: Node) -> None:
        secure(distributor, password_expires_after_days=30)
        world.advance(days=30)

    def test_a_new_password_completes_the_sign_in(self, world: World, distributor: Node) -> None:
        deliver_mail(world)
        answered = answer(world, begin(world), new_password=NEW, confirmation=NEW)
        assert answered.status == 200, answered.text
        assert bearer(world, answered.json["access_token"]).email == OFFICE
        assert sorted(told(distributor)[:2]) == [
            ("completed", "Changed the expired password"),
            ("completed", "Native Sign in (OK) Chrome from ip 198.51.100.7."),
        ]
        assert [mail.to for mail in deliver_mail(world)] == [OFFICE]
        body = {"email": OFFICE, "password": PASSWORD}
        assert world.call("identity.sign_in", body=body).code == "invalid_credentials"
        assert sign_in(world, OFFICE, NEW)["access_token"]
        world.advance(days=30)
        assert begin(world, NEW)

    def test_a_password_that_will_not_do_is_told_and_ends_nothing(
        self, world: World, distributor: Node
    ) -> None:
        token = begin(world)
        for chosen, confirmation, field in (
            (NEW, NEW + "!", "confirmation"),
            ("password", "password", "new_password"),
            (OFFICE, OFFICE, "new_password"),
            (PASSWORD, PASSWORD, "new_password"),
            ("short", "short", "new_password"),
        ):
            answered = answer(world, token, new_password=chosen, confirmation=confirmation)
            assert refused(answered) == (400, "invalid")
            assert [each["field"] for each in answered.json["errors"]] == [field]
        assert answer(world, token, new_password=NEW, confirmation=NEW).status == 200

    def test_sessions_and_other_challenges_end_with_the_old_password(
        self, world: World, distributor: Node
    ) -> None:
        secure(distributor, password_expires_after_days=None)
        earlier = sign_in(world, OFFICE)["access_token"]
        secure(distributor, password_expires_after_days=30)
        token, other = begin(world), begin(world)
        assert answer(world, token, new_password=NEW, confirmation=NEW).status == 200
        assert bearer(world, earlier).refused == "session_ended"
        assert refused(answer(world, other, new_password=PASSWORD, confirmation=PASSWORD)) == OVER

    def test_where_passwords_expire_no_more_the_challenge_is_over(
        self, world: World, distributor: Node
    ) -> None:
        token = begin(world)
        secure(distributor, password_expires_after_days=None)
        assert refused(answer(world, token, new_password=NEW, confirmation=NEW)) == OVER


class TestEnrolment:
    """The step `enrol_totp`."""

    @pytest.fixture(autouse=True)
    def requirement(self, world: World, distributor: Node) -> None:
        secure(distributor, two_factor_required=True)

    def test_the_first_code_of_the_app_completes_the_sign_in(self, world: World, distributor: Node) -> None:
        body = {"email": OFFICE, "password": PASSWORD}
        challenge = world.call("identity.sign_in", body=body).json
        app = challenge["authenticator"]["secret"]
        assert (
            refused(answer(world, challenge["challenge_token"], code=code_of(world, app, steps=9))) == WRONG
        )
        answered = answer(world, challenge["challenge_token"], code=code_of(world, app))
        assert answered.status == 200, answered.text
        assert len(answered.json["recovery_codes"]) == 10
        assert bearer(world, answered.json["access_token"]).kind == "user", "it was shown the second factor"
        assert sorted(told(distributor)[:2]) == [
            ("completed", "Native Sign in with code (OK) Chrome from ip 198.51.100.7."),
            ("completed", "Turned on two-factor authentication"),
        ]
        assert refused(answer(world, begin(world), code=code_of(world, app))) == WRONG, "that code is used up"
        assert sign_in_with_code(world, OFFICE, app)["access_token"]
        assert answer(world, begin(world), recovery_code=answered.json["recovery_codes"][9]).status == 200

    def test_each_challenge_has_a_secret_of_its_own(self, world: World) -> None:
        body = {"email": OFFICE, "password": PASSWORD}
        first, second = (world.call("identity.sign_in", body=body).json for _ in range(2))
        code = code_of(world, first["authenticator"]["secret"])
        assert refused(answer(world, second["challenge_token"], code=code)) == WRONG

    def test_it_never_replaces_an_app_that_was_turned_on_meanwhile(
        self, world: World, distributor: Node
    ) -> None:
        body = {"email": OFFICE, "password": PASSWORD}
        first, second = (world.call("identity.sign_in", body=body).json for _ in range(2))
        mine, thiefs = (each["authenticator"]["secret"] for each in (first, second))
        assert answer(world, first["challenge_token"], code=code_of(world, mine)).status == 200
        assert refused(answer(world, second["challenge_token"], code=code_of(world, thiefs))) == OVER
        assert sign_in_with_code(world, OFFICE, mine)["access_token"]

    def test_a_session_of_before_is_refused_until_it_has_shown_one(
        self, world: World, distributor: Node
    ) -> None:
        secure(distributor, two_factor_required=False)
        token = sign_in(world, OFFICE)["access_token"]
        secure(distributor, two_factor_required=True)
        assert bearer(world, token).refused == "second_factor_required"


class TestOrder:
    """Steps come one after the other, none left out."""

    def test_code_then_password(self, world: World, distributor: Node, secret: str) -> None:
        secure(distributor, password_expires_after_days=1, two_factor_required=True)
        world.advance(days=1)
        first = begin(world)
        for skipping in (
            {"new_password": NEW, "confirmation": NEW},
            {},
            {"code": "123456", "recovery_code": "x"},
        ):
            assert refused(answer(world, first, **skipping)) == (400, "invalid")
        second = answer(world, first, code=code_of(world, secret)).json
        assert set(second) == {"challenge", "challenge_token", "expires_in"}
        assert second["challenge"] == "password_expired"
        said = (
            "Native Sign in with code (right so far, asked for a new password) Chrome from ip 198.51.100.7."
        )
        assert ("completed", said) in told(distributor)
        world.advance(seconds=30)
        assert refused(answer(world, second["challenge_token"], code=code_of(world, secret))) == (
            400,
            "invalid",
        )
        last = answer(world, second["challenge_token"], new_password=NEW, confirmation=NEW)
        assert bearer(world, last.json["access_token"]).kind == "user", "the code of the first step counts"
        assert told(distributor)[0][1].startswith(("Native Sign in with code (OK)", "Changed the expired"))

    def test_password_then_an_app(self, world: World, distributor: Node) -> None:
        secure(distributor, password_expires_after_days=1, two_factor_required=True)
        world.advance(days=1)
        second = answer(world, begin(world), new_password=NEW, confirmation=NEW).json
        assert second["challenge"] == "enrol_totp"
        deliver_mail(world)
        code = code_of(world, second["authenticator"]["secret"])
        last = answer(world, second["challenge_token"], code=code)
        assert bearer(world, last.json["access_token"]).kind == "user"
        assert [mail.subject for mail in deliver_mail(world)] == ["Two-factor authentication was turned on"]

    def test_passwords_that_will_not_do_use_up_no_codes(
        self, world: World, distributor: Node, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(throttle, "OF_CODES", (throttle.Limit(1, timedelta(hours=1)),))
        secure(distributor, password_expires_after_days=1)
        world.advance(days=1)
        token = begin(world)
        for _ in range(3):
            weak = answer(world, token, new_password="password1", confirmation="password1")
            assert refused(weak) == (400, "invalid")
        assert answer(world, token, new_password=NEW, confirmation=NEW).status == 200

    def test_what_is_asked_is_decided_when_it_is_answered(
        self, world: World, distributor: Node, secret: str
    ) -> None:
        token = begin(world)
        secure(distributor, password_expires_after_days=1)
        world.advance(minutes=5)
        change_user(distributor, two_factor=False)
        assert refused(answer(world, token, code=code_of(world, secret))) == OVER


class TestTheEndOfAChallenge:
    """What it is worth nothing after."""

    def test_ten_minutes(self, world: World, secret: str) -> None:
        token, other = begin(world), begin(world)
        world.advance(minutes=9, seconds=59.999)
        assert answer(world, token, code=code_of(world, secret)).status == 200
        world.advance(seconds=0.001)
        assert refused(answer(world, other, code=code_of(world, secret, steps=1))) == OVER

    def test_a_changed_password(self, world: World, distributor: Node, secret: str) -> None:
        caller = bearer(world, sign_in_with_code(world, OFFICE, secret)["access_token"])
        token = begin(world)
        body = {"current": PASSWORD, "new": NEW, "confirmation": NEW}
        assert world.call("identity.change_password", caller, body=body).status == 204
        world.advance(seconds=30)
        assert refused(answer(world, token, code=code_of(world, secret))) == OVER

    @pytest.mark.parametrize("values", [{"state": "disabled"}, {"sign_in_type": "google"}])
    def test_a_user_who_may_not_sign_in_like_this_any_more(
        self, world: World, distributor: Node, secret: str, values: dict[str, Any]
    ) -> None:
        token = begin(world)
        change_user(distributor, **values)
        assert refused(answer(world, token, code=code_of(world, secret))) == OVER

    def test_an_address_that_is_not_allowed(self, world: World, distributor: Node, secret: str) -> None:
        token, other = begin(world), begin(world)
        entry = {"entry_id": "ipe_1", "addresses": ["198.51.100.7"], "description": "", "created_at": ""}
        secure(distributor, ip_restricted=True, ip_entries=[entry])
        denied = answer(world, token, "203.0.113.9", code=code_of(world, secret))
        assert refused(denied) == (403, "access_denied")
        assert told(distributor)[0] == ("failed", "Native Sign in (Failed) Chrome from ip 203.0.113.9.")
        assert refused(answer(world, token, code=code_of(world, secret))) == OVER
        assert answer(world, other, code=code_of(world, secret)).status == 200

    def test_what_is_no_challenge_is_over_too(self, world: World, distributor: Node) -> None:
        access = sign_in(world, OFFICE)
        for token in ("x", "dpc_unknown", access["access_token"], access["refresh_token"], "#|"):
            assert refused(answer(world, token, code="123456")) == OVER

    def test_answers_are_checked_for_their_form(self, world: World, distributor: Node) -> None:
        for given in (
            {"code": "12345"},
            {"code": "1234567"},
            {"code": "\u0661\u0662\u0663\u0664\u0665\u0666"},
            {"code": "12345\n"},
            {"recovery_code": ""},
            {"new_password": "x" * 129, "confirmation": "x"},
            {"answer": "123456"},
        ):
            assert refused(answer(world, "dpc_x", **given)) == (400, "invalid"), given


class TestFederated:
    """The token alone, after a sign-in with a provider."""

    @staticmethod
    def begin(world: World, home: Node, method: str = "google") -> str:
        origin = Origin(world.now, "198.51.100.7", "Chrome")
        new = challenges.begin(the_user(home), "federated", origin, method)
        write([stage(each) for each in new.writes])
        return new.token

    def test_it_goes_on_within_a_minute(self, world: World, distributor: Node) -> None:
        change_user(distributor, sign_in_type="google")
        token, other = self.begin(world, distributor), self.begin(world, distributor)
        assert refused(answer(world, token, code="123456")) == (400, "invalid")
        world.advance(seconds=59.999)
        answered = answer(world, token)
        assert bearer(world, answered.json["access_token"]).email == OFFICE
        assert told(distributor)[0][1] == "Google Sign in (OK) Chrome from ip 198.51.100.7."
        assert refused(answer(world, token)) == OVER
        world.advance(seconds=0.001)
        assert refused(answer(world, other)) == OVER

    def test_it_is_asked_for_a_code_too_but_never_for_a_password(
        self, world: World, distributor: Node, secret: str
    ) -> None:
        secure(distributor, password_expires_after_days=1)
        change_user(distributor, sign_in_type="microsoft")
        world.advance(days=1)
        asked = answer(world, self.begin(world, distributor, "microsoft")).json
        assert asked["challenge"] == "totp"
        said = "Microsoft Sign in (right so far, asked for a code) Chrome from ip 198.51.100.7."
        assert ("completed", said) in told(distributor)
        last = answer(world, asked["challenge_token"], code=code_of(world, secret))
        assert bearer(world, last.json["access_token"]).email == OFFICE
        assert told(distributor)[0][1] == "Microsoft Sign in with code (OK) Chrome from ip 198.51.100.7."

    def test_whoever_signs_in_otherwise_does_not_go_on(self, world: World, distributor: Node) -> None:
        assert refused(answer(world, self.begin(world, distributor))) == OVER
        change_user(distributor, sign_in_type="microsoft")
        assert refused(answer(world, self.begin(world, distributor, "google"))) == OVER


def test_neither_token_nor_secret_is_stored(world: World, distributor: Node) -> None:
    secure(distributor, two_factor_required=True)
    shown = world.call("identity.sign_in", body={"email": OFFICE, "password": PASSWORD}).json
    stored = find(Challenge, *keys.challenge(hashed(shown["challenge_token"])))
    assert stored is not None
    kept = stored.to_dynamodb_dict()
    for each in (shown["challenge_token"], shown["authenticator"]["secret"]):
        assert each not in str(kept)
    assert stored.expires_at == int((world.now + timedelta(minutes=10)).timestamp())


def test_whatever_fails_on_the_way_there_is_one_session_and_the_next_code_gets_in(
    world: World, harness: Harness, distributor: Node, secret: str
) -> None:
    token, user_id = begin(world), the_user(distributor).user_id
    body = {"challenge_token": token, "code": code_of(world, secret)}

    def sessions() -> int:
        return len(list(query(SessionOf, keys.of_user(user_id), keys.SESSIONS)))

    before, runs = sessions(), 0
    for run in harness.sweep(lambda: world.call("identity.answer_challenge", body=body)):
        runs += 1
        again = world.call("identity.answer_challenge", body=body)
        assert again.status == 200 or refused(again) in (OVER, WRONG), run
        assert sessions() == before + 1, run
        assert sign_in_with_code(world, OFFICE, secret)["access_token"], run
    assert runs >= 20
