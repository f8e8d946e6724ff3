import json
from datetime import date
from decimal import Decimal

from portal.billing.rating import PriceBook, ServicePrice
from portal.billing.usage import DEFAULT_WEIGHTS, Status
from portal.billing.weighing import Weighing
from portal.periods import Period

BOX, MAIL = "box", "microsoft_365_exchange"


def book(effective_on: date, **weights: dict[Status, str]) -> PriceBook:
    """Prices of two services; `weights` are those that are not as usual."""
    services = {}
    for service in (BOX, MAIL):
        unusual = {status: Decimal(text) for status, text in weights.get(service, {}).items()}
        services[service] = ServicePrice(300, 3000, weights={**DEFAULT_WEIGHTS, **unusual})
    return PriceBook(effective_on, "USD", Decimal(0), services)


JANUARY = Period(date(2023, 1, 1), date(2023, 2, 1))
AS_EVER = book(date(2022, 1, 1))
HALVED = book(date(2023, 1, 15), box={"archived": "0.5"})


def spans(weighing: Weighing, days: Period) -> list[tuple[int, int, Decimal]]:
    """For each stretch its first day and its end in January, and what an archived box weighs."""
    return [
        (span.start.day, span.end.day, weights[BOX]["archived"] if BOX in weights else Decimal(-1))
        for span, weights in weighing.spans(days)
    ]


def test_a_period_is_weighed_by_the_prices_in_effect_on_its_first_day() -> None:
    assert spans(Weighing((AS_EVER, HALVED), 24), JANUARY) == [(1, 24, 1), (24, 1, Decimal("0.5"))]
    assert spans(Weighing((AS_EVER, HALVED), 15), JANUARY) == [(1, 15, 1), (15, 1, Decimal("0.5"))]
    assert spans(Weighing((AS_EVER, HALVED), 1), JANUARY) == [(1, 1, 1)]


def test_days_of_the_same_weights_are_one_stretch() -> None:
    again = book(date(2023, 1, 10))
    assert spans(Weighing((AS_EVER, again), 10), JANUARY) == [(1, 1, 1)]
    assert spans(Weighing((), 10), JANUARY) == [(1, 1, -1)]


def test_no_days_are_one_empty_stretch() -> None:
    day = date(2023, 1, 15)
    assert [span for span, _ in Weighing((AS_EVER,), 15).spans(Period(day, day))] == [Period(day, day)]


def test_only_what_is_unusual_is_stored() -> None:
    assert Weighing((AS_EVER,), 1).stored(JANUARY) is None
    assert Weighing((AS_EVER, HALVED), 24).stored(JANUARY) == [
        ["2023-01-01", {}],
        ["2023-01-24", {BOX: {"archived": "0.5"}}],
    ]


def test_what_was_weighed_otherwise_shows_from_its_first_day_on() -> None:
    before, after = Weighing((AS_EVER,), 24), Weighing((AS_EVER, HALVED), 24)
    assert after.first_difference(before.stored(JANUARY), JANUARY) == date(2023, 1, 24)
    assert before.first_difference(after.stored(JANUARY), JANUARY) == date(2023, 1, 24)
    stored = json.loads(json.dumps(after.stored(JANUARY)))
    assert after.first_difference(stored, JANUARY) is None
    assert before.first_difference(None, JANUARY) is None


def test_equal_weights_spelled_otherwise_are_no_difference() -> None:
    spelled = Weighing((AS_EVER, book(date(2023, 1, 15), box={"archived": "0.500"})), 24)
    assert spelled.first_difference(Weighing((AS_EVER, HALVED), 24).stored(JANUARY), JANUARY) is None
