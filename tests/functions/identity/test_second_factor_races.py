"""One code, recovery code or challenge used by many at once: exactly one effect."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from portal import keys
from portal.identity import throttle
from portal.identity.records import SessionOf, User
from portal.table import query
from tests.builders import PASSWORD, a_distributor, an_authenticator, bearer, code_of, confirm, sign_in
from tests.support.harness import Harness
from tests.world import World

pytestmark = pytest.mark.races
COPIES = 32
OFFICE = "office@north.example.com"


@pytest.fixture(autouse=True)
def user(world: World) -> User:
    distributor = a_distributor(world)
    confirm(world, OFFICE)
    [user] = query(User, keys.node(distributor), keys.user())
    return user


@pytest.fixture
def unthrottled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is kept from trying, so that it is the code itself that has to hold."""
    plenty = throttle.Limit(10_000, timedelta(days=1))
    monkeypatch.setattr(throttle, "OF_CODES", (plenty,))
    for name in ("OF_ONE_CLIENT", "OF_ONE_SUBJECT", "OF_ONE_ADDRESS"):
        monkeypatch.setattr(throttle, name, plenty)


def begin(world: World) -> str:
    answer = world.call("identity.sign_in", body={"email": OFFICE, "password": PASSWORD})
    token: str = answer.json["challenge_token"]
    return token


def answering(world: World, bodies: list[dict[str, str]]) -> list[Callable[[], Any]]:
    return [lambda body=body: world.call("identity.answer_challenge", body=body) for body in bodies]


def statuses(outcomes: list[Any]) -> Counter[int]:
    assert [each.error for each in outcomes if each.error] == []
    return Counter(each.result.status for each in outcomes)


def sessions(user: User) -> int:
    return len(list(query(SessionOf, keys.of_user(user.user_id), keys.SESSIONS)))


def check_one_gets_in(
    world: World,
    harness: Harness,
    user: User,
    bodies: list[dict[str, str]],
    refused: set[int],
    rounds: int = 20,
) -> None:
    before, start = sessions(user), harness.snapshot()
    for seed in range(rounds):
        counted = statuses(harness.run_together(answering(world, bodies), seed=seed))
        assert counted[200] == 1, seed
        assert set(counted) - {200} <= refused, seed
        assert sessions(user) == before + 1, seed
        harness.restore(start)


def test_copies_of_an_answer_open_one_session(world: World, harness: Harness, user: User) -> None:
    secret, _ = an_authenticator(world, OFFICE)
    world.advance(minutes=1)
    body = {"challenge_token": begin(world), "code": code_of(world, secret)}
    check_one_gets_in(world, harness, user, [body] * COPIES, {401, 409, 429}, rounds=3)


def test_one_code_used_by_many_sign_ins_at_once_lets_one_in(
    world: World, harness: Harness, user: User, unthrottled: None
) -> None:
    secret, _ = an_authenticator(world, OFFICE)
    world.advance(minutes=1)
    code = code_of(world, secret)
    bodies = [{"challenge_token": begin(world), "code": code} for _ in range(COPIES)]
    check_one_gets_in(world, harness, user, bodies, {401, 409})


def test_one_recovery_code_used_by_many_sign_ins_at_once_lets_one_in(
    world: World, harness: Harness, user: User, unthrottled: None
) -> None:
    _, codes = an_authenticator(world, OFFICE)
    bodies = [{"challenge_token": begin(world), "recovery_code": codes[0]} for _ in range(COPIES)]
    check_one_gets_in(world, harness, user, bodies, {401, 409}, rounds=5)


def test_many_wrong_answers_at_once_are_five_at_most(
    world: World, harness: Harness, user: User, unthrottled: None
) -> None:
    secret, _ = an_authenticator(world, OFFICE)
    world.advance(minutes=1)
    token, wrong = begin(world), code_of(world, secret, steps=50)
    bodies = [{"challenge_token": token, "code": wrong}] * COPIES
    start = harness.snapshot()
    for seed in range(3):
        outcomes = harness.run_together(answering(world, bodies), seed=seed)
        codes = Counter(each.result.code for each in outcomes)
        assert 1 <= codes["wrong_answer"] <= 5, seed
        assert set(codes) <= {"wrong_answer", "challenge_over", "conflict"}, seed
        harness.restore(start)


def test_an_app_is_turned_on_once(world: World, harness: Harness, user: User, unthrottled: None) -> None:
    caller = bearer(world, sign_in(world, OFFICE)["access_token"])
    secret = world.call("identity.begin_totp", caller).json["secret"]
    body = {"code": code_of(world, secret)}
    for seed, outcomes in harness.rounds(
        COPIES, lambda: world.call("identity.confirm_totp", caller, body=body), seeds=range(3)
    ):
        counted = statuses(outcomes)
        assert counted[200] == 1, seed
        assert set(counted) <= {200, 400, 409}, seed
