"""An entity that several tasks protect is billed once."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from portal.billing.usage import Entity, Status, Transition, Weights, counted_once, daily_counts
from portal.periods import Period

MIDNIGHT = datetime(2023, 1, 24, tzinfo=UTC)
DAYS = Period(MIDNIGHT.date(), MIDNIGHT.date() + timedelta(days=6))


def at(days: float) -> datetime:
    return MIDNIGHT + timedelta(days=days)


def known_to(task: str, *states: tuple[int, Status], ends: int | None = None, kind: str = "user") -> Entity:
    """What a task says: from which day on the entity has a status, and on which it is not protected any more."""
    timeline = tuple(Transition(at(day), f"evt_{task}_{day}", status) for day, status in states)
    if ends is not None:
        timeline += (Transition(at(ends), f"evt_{task}_end", "active", is_end=True),)
    return Entity("box", kind, timeline)


def test_what_one_task_knows_is_left_as_it_is() -> None:
    alone = known_to("a", (1, "active"))

    assert counted_once([alone]) is alone


def test_at_any_time_it_is_in_the_state_that_counts_most() -> None:
    one = known_to("a", (1, "active"), (4, "inactive"))
    other = known_to("b", (0, "inactive"), (2, "archived"), ends=5)

    once = counted_once([one, other])

    assert (once.service, once.kind) == ("box", "user")
    assert [(each.occurred_at, each.event_id, each.status, each.is_end) for each in once.timeline] == [
        (at(0), "evt_b_0", "inactive", False),
        (at(1), "evt_a_1", "active", False),
        (at(2), "evt_a_1", "active", False),
        (at(4), "evt_b_2", "archived", False),
        (at(5), "evt_a_4", "inactive", False),
    ]
    assert daily_counts([once], DAYS) == {"box": [0, 1, 1, 1, 1, 0]}
    assert daily_counts([one, other], DAYS) == {"box": [0, 1, 2, 2, 1, 0]}


@pytest.mark.parametrize(("archived", "counts"), [("0.5", ["1", "1", "0.5"]), ("2", ["1", "2", "2"])])
def test_what_counts_most_is_up_to_the_weights(archived: str, counts: list[str]) -> None:
    weights: Weights = {"archived": Decimal(archived)}
    records = [known_to("a", (0, "active"), (2, "inactive")), known_to("b", (1, "archived"))]

    once = counted_once(records, weights)

    days = Period(DAYS.start, DAYS.start + timedelta(days=3))
    assert daily_counts([once], days, {"box": weights}) == {"box": [Decimal(count) for count in counts]}


def test_what_nothing_protects_any_longer_counts_nothing_whatever_its_status() -> None:
    ended = known_to("a", (0, "active"), ends=2)

    assert daily_counts([ended], DAYS) == {"box": [1, 1, 0, 0, 0, 0]}
    assert daily_counts([counted_once([ended, known_to("b", (3, "active"))])], DAYS) == {
        "box": [1, 1, 0, 1, 1, 1]
    }


def test_an_unlicensed_mailbox_of_one_task_gives_way_to_the_licensed_one_of_another() -> None:
    unlicensed = Entity(
        "microsoft_365_exchange", "mailbox", (Transition(at(0), "evt_1", "active", licensed=False),)
    )
    licensed = Entity(
        "microsoft_365_exchange", "mailbox", (Transition(at(1), "evt_2", "active", licensed=True),)
    )

    once = counted_once([unlicensed, licensed])

    assert [each.event_id for each in once.timeline] == ["evt_1", "evt_2"]
    assert daily_counts([once], DAYS) == {"microsoft_365_exchange": [0, 1, 1, 1, 1, 1]}
