from datetime import timedelta

import pytest

from portal.identity import throttle
from portal.scope import Origin
from tests.support.harness import Harness
from tests.world import World

MINUTE = timedelta(minutes=1)


def tried(world: World, subject: str = "somebody", *, limit: int = 3) -> int:
    """Seconds to wait, 0 when the attempt was let through."""
    try:
        throttle.attempt("test", subject, limit, MINUTE, world.now)
    except throttle.TooManyAttempts as refused:
        return refused.retry_after_seconds or -1
    return 0


def test_the_window_begins_with_the_first_attempt_and_says_when_it_ends(world: World) -> None:
    assert [tried(world) for _ in range(4)] == [0, 0, 0, 60]
    world.advance(seconds=59.5)
    assert tried(world) == 1
    assert tried(world, "somebody else") == 0
    world.advance(seconds=0.499)
    assert tried(world) == 1
    world.advance(seconds=0.001)
    assert [tried(world) for _ in range(4)] == [0, 0, 0, 60]


def test_refused_attempts_do_not_put_the_end_off(world: World) -> None:
    for _ in range(6):
        tried(world, limit=1)
        world.advance(seconds=10)
    assert tried(world, limit=1) == 0


def test_what_is_given_back_can_be_used_again_and_no_more(world: World) -> None:
    throttle.give_back("test", "somebody")
    assert [tried(world) for _ in range(3)] == [0, 0, 0]
    throttle.give_back("test", "somebody")
    assert [tried(world) for _ in range(2)] == [0, 60]
    throttle.clear("test", "somebody")
    assert [tried(world) for _ in range(4)] == [0, 0, 0, 60]
    for _ in range(5):
        throttle.give_back("test", "somebody")
    assert [tried(world) for _ in range(4)] == [0, 0, 0, 60]


def test_kinds_are_counted_apart_and_addresses_folded(world: World) -> None:
    origin = Origin(world.now, "198.51.100.7", "")
    for _ in range(throttle.OF_ONE_CLIENT.number):
        throttle.attempt_from("sign-in", "A@example.com", origin)
    with pytest.raises(throttle.TooManyAttempts):
        throttle.attempt_from("sign-in", " a@EXAMPLE.com", origin)
    throttle.attempt_from("token", "a@example.com", origin)
    throttle.attempt_from("sign-in", "b@example.com", origin)


def test_nothing_that_was_typed_is_kept(world: World, harness: Harness) -> None:
    throttle.attempt_from("sign-in", "my-password-in-the-wrong-field", Origin(world.now, "198.51.100.7", ""))
    stored = str(harness.items()["portal"])
    assert "THROTTLE#" in stored
    assert not [each for each in ("my-password", "198.51.100.7") if each in stored]


def test_items_go_when_their_window_has_ended(world: World, harness: Harness) -> None:
    tried(world)
    [item] = [each for each in harness.items()["portal"] if each["pk"]["S"].startswith("THROTTLE#")]
    assert int(item["expires_at"]["N"]) == int((world.now + MINUTE).timestamp())


@pytest.mark.races
@pytest.mark.parametrize("before", ["nothing", "some", "an ended window"])
def test_copies_at_once_never_get_more_than_the_limit_through(
    world: World, harness: Harness, before: str
) -> None:
    used = {"nothing": 0, "some": 4, "an ended window": 10}[before]
    for _ in range(used):
        tried(world, limit=10)
    if before == "an ended window":
        world.advance(minutes=1)
        used = 0
    seeds = range(20 if before == "nothing" else 5)
    for seed, outcomes in harness.rounds(32, lambda: tried(world, limit=10), seeds):
        assert [each.error for each in outcomes if each.error] == [], seed
        assert sum(each.result == 0 for each in outcomes) == 10 - used, seed
        assert {each.result for each in outcomes} == {0, 60}, seed
