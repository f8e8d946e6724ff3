from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from portal.billing.usage import Entity, Timeline, Transition, daily_counts, insert
from portal.periods import Period
from portal.tasks import timelines

NOW = datetime(2023, 6, 1, 9, tzinfo=UTC)
TODAY = NOW.date()
SETTLED = TODAY
"""Nothing before today is still to be counted."""

instants = st.integers(0, 100 * 24).map(lambda hours: NOW - timedelta(hours=hours))
transitions = st.lists(
    st.builds(
        Transition,
        instants,
        st.uuids().map(str),
        st.sampled_from(["active", "inactive", "archived"]),
        st.sampled_from([None, True, False]),
    ),
    max_size=30,
    unique_by=lambda each: each.event_id,
)


def told(given: list[Transition], unsettled_from_on: date = SETTLED) -> Timeline:
    timeline: Timeline = ()
    for transition in given:
        timeline = timelines.told(timeline, transition, now=NOW, unsettled_from_on=unsettled_from_on)
    return timeline


def counts(timeline: Timeline, days: Period) -> object:
    return daily_counts([Entity("microsoft_365_exchange", "mailbox", timeline)], days)


@given(transitions)
def test_it_comes_back_as_it_was_stored(given: list[Transition]) -> None:
    timeline = told(given)
    assert timelines.load(timelines.dump(timeline)) == timeline


@given(transitions)
def test_recountable_days_count_as_if_everything_was_kept(given: list[Transition]) -> None:
    whole: Timeline = ()
    for transition in given:
        whole = insert(whole, transition)
    days = Period(TODAY - timedelta(days=timelines.RECOUNTED_DAYS), TODAY + timedelta(days=1))
    assert counts(told(given), days) == counts(whole, days)


@given(transitions.flatmap(lambda given: st.tuples(st.just(given), st.permutations(given))))
def test_the_order_of_arrival_makes_no_difference(orders: tuple[list[Transition], list[Transition]]) -> None:
    assert told(orders[0]) == told(orders[1])


@given(transitions)
def test_it_has_one_state_a_day_and_one_from_before(given: list[Transition]) -> None:
    timeline = told(given)
    days = [each.occurred_at.date() for each in timeline]
    assert len(set(days)) == len(days)
    assert sum(each.occurred_at < NOW - timelines.KEPT for each in timeline) <= 1


@given(transitions)
def test_days_that_are_still_to_be_counted_are_kept_however_old(given: list[Transition]) -> None:
    whole: Timeline = ()
    for transition in given:
        whole = insert(whole, transition)
    first = TODAY - timedelta(days=99)
    days = Period(first, TODAY + timedelta(days=1))
    assert counts(told(given, unsettled_from_on=first), days) == counts(whole, days)


def test_two_states_of_one_instant_are_decided_by_their_events_ids() -> None:
    both = [Transition(NOW, "evt-1", "active"), Transition(NOW, "evt-2", "inactive")]
    assert {told(list(order))[-1].status for order in permutations(both)} == {"inactive"}


def test_an_entity_ends_with_its_task() -> None:
    timeline = told([Transition(NOW - timedelta(days=n), f"evt-{n}", "active") for n in (3, 2, 1)])
    at = NOW - timedelta(days=2)
    ended = timelines.ended(timeline, at)
    assert [(each.occurred_at, each.status) for each in ended] == [
        (NOW - timedelta(days=3), "active"),
        (at, "inactive"),
    ]
    assert timelines.ended(timeline, None) == timeline
    assert timelines.ended((), at) == ()


def test_what_has_ended_with_its_task_counts_nothing_even_where_the_inactive_are_billed() -> None:
    at = NOW - timedelta(days=2)
    known = told([Transition(NOW - timedelta(days=3), "evt-1", "inactive")])
    days = Period((NOW - timedelta(days=3)).date(), NOW.date())
    counted = daily_counts(
        [Entity("box", "user", timelines.ended(known, at))], days, {"box": {"inactive": Decimal("0.5")}}
    )
    assert counted == {"box": [Decimal("0.5"), 0, 0]}


def test_the_days_that_are_recounted_end_62_days_back() -> None:
    assert timelines.recounted_from(date(2023, 5, 31), TODAY) == date(2023, 5, 31)
    assert timelines.recounted_from(date(2023, 3, 31), TODAY) == date(2023, 3, 31)
    assert timelines.recounted_from(date(2023, 3, 30), TODAY) == date(2023, 3, 31)
