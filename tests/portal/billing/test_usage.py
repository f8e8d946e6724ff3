from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.billing.usage import (
    DEFAULT_WEIGHTS,
    Count,
    Entity,
    Fact,
    Method,
    Status,
    Timeline,
    Transition,
    Weights,
    counts_on,
    daily_counts,
    insert,
    is_billable,
    new_facts,
    quantity,
    state_at,
    state_at_end_of,
    trim_facts,
    trim_timeline,
    weight_of,
)
from portal.periods import Period

DAY = date(2023, 1, 24)
MIDNIGHT = datetime(2023, 1, 24, tzinfo=UTC)


def day(n: int) -> date:
    return DAY + timedelta(days=n)


def at(days: float) -> datetime:
    return MIDNIGHT + timedelta(days=days)


def timeline_of(*transitions: Transition) -> Timeline:
    timeline: Timeline = ()
    for transition in transitions:
        timeline = insert(timeline, transition)
    return timeline


def mailbox(*transitions: Transition, service: str = "microsoft_365_exchange") -> Entity:
    return Entity(service, "mailbox", timeline_of(*transitions))


transitions = st.builds(
    Transition,
    occurred_at=st.integers(0, 40).map(lambda n: at(n / 4)),
    event_id=st.integers(0, 6).map(lambda n: f"evt_{n}"),
    status=st.sampled_from(["active", "inactive", "archived"]),
    licensed=st.sampled_from([True, False, None]),
)
counts = st.integers(0, 5)
facts = st.lists(
    st.builds(Fact, day=st.integers(-3, 14).map(day), count=counts, recorded_at=st.integers(1, 4)),
    max_size=15,
)


# Timelines


@pytest.mark.parametrize(
    "events",
    [
        [
            Transition(at(0.1), "evt_1", "active", True),
            Transition(at(1.1), "evt_2", "inactive", True),
            Transition(at(1.1), "evt_3", "archived", None),
            Transition(at(3.0), "evt_4", "active", False),
        ],
        [
            Transition(at(1), "evt_b", "active"),
            Transition(at(1), "evt_a", "inactive"),
            Transition(at(1), "evt_c", "archived"),
        ],
        [
            Transition(at(2), "evt_same", "active", True),
            Transition(at(1), "evt_same", "inactive", None),
            Transition(at(1), "evt_same", "inactive", False),
            Transition(at(1), "evt_same", "archived", None),
        ],
    ],
)
def test_every_order_and_any_repetition_of_events_gives_the_same_bytes(events: list[Transition]) -> None:
    once = repr(timeline_of(*events)).encode()
    outcomes = {
        repr(timeline_of(*(event for event, times in zip(order, repeats, strict=True) for _ in range(times))))
        for order in permutations(events)
        for repeats in product((1, 2, 5), repeat=len(events))
    } | {
        repr(timeline_of(*order, *again)) for order in permutations(events) for again in permutations(events)
    }
    assert {outcome.encode() for outcome in outcomes} == {once}


@given(st.lists(transitions, max_size=12), st.randoms())
def test_a_timeline_does_not_depend_on_arrival(events: list[Transition], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = [*events, *events]
    random.shuffle(shuffled)
    timeline = timeline_of(*events)
    assert timeline_of(*shuffled) == timeline
    assert list(timeline) == sorted(timeline, key=lambda known: (known.occurred_at, known.event_id))
    assert {known.event_id for known in timeline} == {event.event_id for event in events}
    assert len(timeline) == len({event.event_id for event in events})


def test_of_two_events_at_one_instant_the_greater_id_is_in_force() -> None:
    timeline = timeline_of(Transition(at(1), "evt_2", "archived"), Transition(at(1), "evt_1", "active"))
    state = state_at(timeline, at(1))
    assert state is not None and state.status == "archived"


def test_of_two_contents_of_one_event_the_one_that_does_not_say_comes_first() -> None:
    silent, unlicensed, licensed = (
        Transition(at(1), "evt_1", "active", licensed) for licensed in (None, False, True)
    )
    for one, other in permutations((silent, unlicensed, licensed), 2):
        assert timeline_of(one, other) == timeline_of(other, one)
    assert timeline_of(licensed, unlicensed, silent) == (silent,)
    assert timeline_of(licensed, unlicensed) == (unlicensed,)


def test_an_instant_is_the_same_in_every_time_zone() -> None:
    there = timezone(timedelta(hours=-5))
    transition = Transition(datetime(2023, 1, 23, 20, tzinfo=there), "evt_1", "active")
    assert transition == Transition(datetime(2023, 1, 24, 1, tzinfo=UTC), "evt_1", "active")
    assert repr(transition.occurred_at) == repr(datetime(2023, 1, 24, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="time zone"):
        Transition(datetime(2023, 1, 24), "evt_1", "active")


def test_midnight_belongs_to_the_next_day() -> None:
    timeline = timeline_of(Transition(at(0.5), "evt_1", "active"), Transition(at(1), "evt_2", "inactive"))
    assert state_at(timeline, at(0.4)) is None
    assert state_at(timeline, at(0.5)) == timeline[0]
    assert state_at(timeline, at(1)) == timeline[1]
    assert state_at_end_of(timeline, day(-1)) is None
    assert state_at_end_of(timeline, day(0)) == timeline[0]
    assert state_at_end_of(timeline, day(1)) == timeline[1]


@given(st.lists(transitions, max_size=12), st.lists(transitions, max_size=4), st.integers(0, 44))
def test_trimming_changes_nothing_from_the_horizon_on(
    early: list[Transition], late: list[Transition], quarter: int
) -> None:
    horizon = at(quarter / 4)
    known = {event.event_id for event in early}
    late = [event for event in late if event.event_id not in known]
    whole = timeline_of(*early, *late)
    trimmed = trim_timeline(timeline_of(*early), horizon)
    for event in late:
        trimmed = insert(trimmed, event)
    for n in range(quarter, 48):
        assert state_at(trimmed, at(n / 4)) == state_at(whole, at(n / 4))
    assert trim_timeline(trimmed, horizon) == trim_timeline(whole, horizon)
    assert sum(event.occurred_at <= horizon for event in trim_timeline(whole, horizon)) <= 1


# What counts


@pytest.mark.parametrize(
    ("service", "kind", "status", "licensed", "billable"),
    [
        ("microsoft_365_exchange", "mailbox", "active", True, True),
        ("microsoft_365_exchange", "mailbox", "active", None, True),
        ("microsoft_365_exchange", "mailbox", "active", False, False),
        ("microsoft_365_exchange", "mailbox", "archived", False, False),
        ("microsoft_365_exchange", "mailbox", "archived", True, True),
        ("microsoft_365_exchange", "mailbox", "inactive", True, False),
        ("microsoft_365_exchange", "public_folder", "active", False, True),
        ("microsoft_365_onedrive", "drive", "active", False, True),
        ("salesforce", "organization", "archived", None, True),
        ("box", "user", "inactive", None, False),
    ],
)
def test_what_is_billable(
    service: str, kind: str, status: Status, licensed: bool | None, billable: bool
) -> None:
    assert is_billable(service, kind, status, licensed) is billable


def test_a_price_book_may_weight_a_status_but_not_bill_an_unlicensed_mailbox() -> None:
    weights: Weights = {"archived": Decimal("0.5"), "inactive": Decimal(1)}
    assert weight_of("box", "user", "archived", None, weights) == Decimal("0.5")
    assert weight_of("box", "user", "active", None, weights) == 1
    assert is_billable("box", "user", "inactive", None, weights)
    assert not is_billable("box", "user", "archived", None, {**DEFAULT_WEIGHTS, "archived": Decimal(0)})
    assert not is_billable("microsoft_365_exchange", "mailbox", "archived", False, weights)


def test_counts_are_the_states_at_the_days_ends() -> None:
    entities = [
        mailbox(Transition(at(-9), "e1", "active", True)),
        mailbox(Transition(at(1.5), "e2", "active", True), Transition(at(3), "e3", "inactive", True)),
        mailbox(Transition(at(2.1), "e4", "active", True), Transition(at(2.9), "e5", "inactive", True)),
        mailbox(Transition(at(0), "e6", "active", False), Transition(at(4), "e7", "active", True)),
        mailbox(Transition(at(1), "e8", "archived"), service="box"),
        mailbox(Transition(at(9), "e9", "active"), service="dropbox"),
    ]
    assert daily_counts(entities, Period(day(0), day(5))) == {
        "microsoft_365_exchange": [1, 2, 2, 1, 2],
        "box": [0, 1, 1, 1, 1],
        "dropbox": [0, 0, 0, 0, 0],
    }
    assert daily_counts(entities[:1], Period(day(0), day(0))) == {"microsoft_365_exchange": []}
    assert daily_counts([], Period(day(0), day(5))) == {}


def test_part_weights_give_decimal_counts_and_whole_ones_stay_ints() -> None:
    entities = [mailbox(Transition(at(n), f"e{n}", "archived"), service="box") for n in range(2)]
    counted = daily_counts(entities, Period(day(0), day(2)), {"box": {"archived": Decimal("0.5")}})["box"]
    assert counted == [Decimal("0.5"), 1] and type(counted[1]) is int


@given(
    st.lists(st.tuples(st.sampled_from(["box", "salesforce"]), st.lists(transitions, max_size=6)), max_size=6)
)
def test_daily_counts_agree_with_looking_at_every_entity_every_evening(
    seeds: list[tuple[str, list[Transition]]],
) -> None:
    entities = [mailbox(*events, service=service) for service, events in seeds]
    days = Period(day(2), day(9))
    expected: dict[str, list[Count]] = {
        service: [
            sum(
                is_billable(service, "mailbox", state.status, state.licensed)
                for entity in entities
                if entity.service == service and (state := state_at_end_of(entity.timeline, on))
            )
            for on in days.dates()
        ]
        for service, _ in seeds
    }
    assert daily_counts(entities, days) == expected


# Facts


def test_a_count_holds_until_the_next_fact_and_the_last_recorded_wins() -> None:
    known = [Fact(day(1), 4, 10), Fact(day(4), 6, 11), Fact(day(4), 5, 12), Fact(day(-30), 2, 13)]
    assert counts_on(known, Period(day(-31), day(-28))) == [0, 2, 2]
    assert counts_on(known, Period(day(0), day(6))) == [2, 4, 4, 4, 5, 5]
    assert counts_on([], Period(day(0), day(2))) == [0, 0]


@given(facts, st.randoms())
def test_counts_do_not_depend_on_the_order_of_facts(known: list[Fact], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = [*known, *known]
    random.shuffle(shuffled)
    assert counts_on(shuffled, Period(day(-5), day(20))) == counts_on(known, Period(day(-5), day(20)))


@pytest.mark.parametrize(
    ("series", "method", "expected"),
    [
        ([3, 7, 4], "peak", "7"),
        ([3, 7, 4], "last", "4"),
        ([3, 7, 4], "average", "4.6667"),
        ([1, 1, 2], "average", "1.3333"),
        ([98, 98], "average", "98"),
        ([120, 120], "average", "120"),
        ([1] + [0] * 19_999, "average", "0.0001"),
        ([1] + [0] * 20_000, "average", "0"),
        ([1, 2], "average", "1.5"),
        ([Decimal("0.5"), 2], "peak", "2"),
        ([Decimal("0.5"), 2], "average", "1.25"),
    ],
)
def test_quantity_by_method(series: Sequence[Count], method: Method, expected: str) -> None:
    known = [Fact(day(n), count, 1) for n, count in enumerate(series)]
    found = quantity(known, Period(day(0), day(len(series))), method)
    assert isinstance(found, Decimal) and str(found) == expected


@pytest.mark.parametrize("method", ["peak", "last", "average"])
def test_no_days_have_no_quantity(method: Method) -> None:
    assert quantity([Fact(day(-1), 5, 1)], Period(day(0), day(0)), method) == 0


@given(facts)
def test_the_average_lies_within_half_a_ten_thousandth_and_below_the_peak(known: list[Fact]) -> None:
    days = Period(day(0), day(13))
    average = Fraction(quantity(known, days, "average"))
    assert abs(average - Fraction(sum(map(int, counts_on(known, days))), 13)) <= Fraction(1, 20_000)
    assert average <= quantity(known, days, "peak")


@given(facts, st.integers(-2, 8), st.lists(counts, max_size=8), st.integers(0, 5))
def test_new_facts_bring_the_series_about_and_touch_no_other_day(
    known: list[Fact], first: int, series: list[int], recorded_at: int
) -> None:
    added = new_facts(known, day(first), series, recorded_at)
    after = first + len(series)
    known_until = max((fact.day for fact in known), default=day(-99))
    assert counts_on([*known, *added], Period(day(first), day(after))) == series
    assert counts_on([*known, *added], Period(day(-9), day(first))) == counts_on(
        known, Period(day(-9), day(first))
    )
    if known_until >= day(after):
        rest = Period(day(after), known_until + timedelta(days=5))
        assert counts_on([*known, *added], rest) == counts_on(known, rest)
    elif series:
        assert counts_on([*known, *added], Period(day(after), day(after + 3))) == [series[-1]] * 3
    assert new_facts([*known, *added], day(first), series, recorded_at) == []
    assert all(fact.recorded_at >= recorded_at for fact in added)


def test_a_flat_month_is_one_fact_and_a_late_event_two() -> None:
    first = new_facts([], day(0), [98] * 31, 1)
    assert first == [Fact(day(0), 98, 1)]
    late = new_facts(first, day(0), [98] * 10 + [99] + [98] * 20, 2)
    assert late == [Fact(day(10), 99, 2), Fact(day(11), 98, 2)]


def test_a_correction_with_a_clock_behind_still_wins() -> None:
    assert new_facts([Fact(day(0), 5, 100)], day(0), [6], 50) == [Fact(day(0), 6, 101)]


def test_days_that_count_as_before_need_no_fact() -> None:
    known = [Fact(day(-2), 3, 1), Fact(day(-1), 5, 1)]
    assert new_facts(known, day(0), [5, 5], 2) == []
    assert new_facts(known, day(0), [3], 2) == [Fact(day(0), 3, 2)]
    assert new_facts([], day(0), [0, 0], 2) == []


def test_days_after_a_correction_keep_their_counts() -> None:
    known = [Fact(day(0), 5, 1), Fact(day(1), 6, 1), Fact(day(2), 7, 1), Fact(day(9), 8, 1)]
    assert new_facts(known, day(0), [1, 1, 1], 2) == [
        *(Fact(day(n), 1, 2) for n in range(3)),
        Fact(day(3), 7, 2),
    ]
    back = [Fact(day(0), 5, 1), Fact(day(9), 7, 1)]
    assert new_facts(back, day(0), [6, 5], 2) == [Fact(day(0), 6, 2), Fact(day(1), 5, 2)]
    assert new_facts(known, day(8), [4], 2) == [Fact(day(8), 4, 2)]
    assert new_facts(known, day(9), [4], 2) == [Fact(day(9), 4, 2)]


def test_trimming_keeps_what_lies_ahead_and_the_one_fact_that_is_in_force() -> None:
    known = [Fact(day(7), 2, 1), Fact(day(5), 1, 1)]
    ahead = [known[1], known[0]]
    assert [trim_facts(known, day(n)) for n in (3, 5, 6)] == [ahead] * 3
    assert [trim_facts(known, day(n)) for n in (7, 8)] == [[known[0]]] * 2
    assert trim_facts([], day(3)) == []


@given(facts, st.integers(-4, 16))
def test_trimming_facts_keeps_every_count_from_the_horizon_on(known: list[Fact], horizon: int) -> None:
    trimmed = trim_facts(known, day(horizon))
    rest = Period(day(horizon), day(25))
    assert counts_on(trimmed, rest) == counts_on(known, rest)
    assert sum(fact.day < day(horizon) for fact in trimmed) <= 1
    assert sum(fact.day <= day(horizon) for fact in trimmed) <= max(
        1, sum(fact.day == day(horizon) for fact in known)
    )
