"""A preview says what the bill will say, and a credit note of everything takes back what it said."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import permutations
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from portal import keys
from portal.billing.credits import credited_so_far, for_lines, key_of, stored
from portal.billing.forecast import forecast
from portal.billing.lines import tax_of
from portal.billing.rating import (
    AccountUsage,
    Line,
    PriceBook,
    ServicePrice,
    Tax,
    Tier,
    rate_month,
    rate_term,
    total,
)
from portal.billing.records import Bill, CreditNote
from portal.billing.usage import Fact
from portal.periods import Period, nth_term, period_containing
from portal.tree import DIRECT, Node
from tests.simulation.comparison import compare
from tests.simulation.diary import Correction, Diary, Prices, State
from tests.simulation.diary import ServicePrice as AgreedPrice
from tests.simulation.oracle import next_payment_date
from tests.simulation.play import Play

SERVICES = ("box", "dropbox", "salesforce")
NORTH = Node("dst_north")
days = st.dates(date(2023, 1, 1), date(2025, 1, 1))
prices = st.builds(
    ServicePrice,
    monthly=st.integers(0, 5_000),
    annual=st.integers(0, 50_000),
    tiers=st.lists(
        st.builds(Tier, st.integers(1, 40), st.integers(0, 5_000), st.integers(0, 50_000)),
        max_size=3,
        unique_by=lambda tier: tier.minimum,
    ).map(tuple),
    method=st.sampled_from(("peak", "average", "last")),
)
books = st.builds(
    PriceBook,
    effective_on=st.just(date(2022, 1, 1)),
    currency=st.sampled_from(("USD", "JPY", "KWD")),
    discount=st.integers(0, 1_000).map(lambda thousandths: Decimal(thousandths) / 1_000),
    services=st.fixed_dictionaries(dict.fromkeys(SERVICES, prices)),
)


@st.composite
def accounts(draw: st.DrawFn, still_from: date, plan: str = "monthly") -> AccountUsage:
    """With so many entities of some services, and from a day on neither more nor fewer."""
    subscribed_on = still_from + timedelta(days=draw(st.integers(-400, 40)))
    ended_after = draw(st.none() | st.integers(0, 500))
    counts = draw(st.dictionaries(st.sampled_from(SERVICES), st.integers(0, 60)))
    return AccountUsage(
        "acc_1",
        DIRECT,
        "Rosy White",
        "rosy@example.com",
        plan,  # type: ignore[arg-type]
        subscribed_on,
        None if ended_after is None else subscribed_on + timedelta(days=ended_after),
        {service: [Fact(still_from, count, 1)] for service, count in counts.items()},
    )


@given(st.data(), st.integers(1, 31), days, books)
def test_while_usage_stands_still_the_forecast_is_the_bill(
    data: st.DataObject, payment_day: int, today: date, book: PriceBook
) -> None:
    period = period_containing(payment_day, today)
    account = data.draw(accounts(today - timedelta(days=data.draw(st.integers(1, 200)))))
    expected, billed = forecast(account, book, period, today), rate_month(account, book, period)
    assert expected.lines == billed.lines
    assert expected.low == expected.amount == expected.high == total(billed.lines, book.currency).net


@given(st.data(), st.integers(1, 31), days, books)
def test_when_the_period_is_over_the_forecast_is_the_bill_whatever_was_used(
    data: st.DataObject, payment_day: int, day: date, book: PriceBook
) -> None:
    period = period_containing(payment_day, day)
    account = data.draw(accounts(day))
    moves = st.lists(st.tuples(st.integers(-120, 40), st.integers(0, 60)), min_size=1, max_size=20)
    facts = {
        service: [
            Fact(day + timedelta(days=after), count, number)
            for number, (after, count) in enumerate(data.draw(moves))
        ]
        for service in account.facts
    }
    account = replace(account, facts=facts)
    expected, billed = forecast(account, book, period, period.end), rate_month(account, book, period)
    assert (expected.lines, expected.low, expected.high) == (billed.lines, expected.amount, expected.amount)


@given(st.data(), days, st.integers(0, 3), books)
def test_a_renewal_is_forecast_as_it_will_be_invoiced(
    data: st.DataObject, anchor: date, number: int, book: PriceBook
) -> None:
    term = nth_term(anchor, number + 1)
    today = term.start - timedelta(days=data.draw(st.integers(0, 300)))
    account = replace(data.draw(accounts(today - timedelta(days=1), "annual")), subscribed_on=anchor)
    assert forecast(account, book, term, today).lines == rate_term(account, book, term).lines


# Credit notes


@st.composite
def issued_bills(draw: st.DrawFn) -> tuple[Bill, list[Line]]:
    lines = [line for number in range(draw(st.integers(1, 3))) for line in draw(_some_lines(number))]
    tax = Tax(Decimal(draw(st.integers(0, 300))) / 1_000, "VAT", draw(st.booleans()))
    sums = total(lines, "USD", tax)
    bill = Bill(
        keys.node(NORTH),
        keys.bill(date(2023, 2, 24), "monthly", "invoice"),
        currency="USD",
        tax_rate=tax.rate,
        tax_name=tax.name,
        reverse_charge=tax.reverse_charge,
        net_minor=sums.net.minor,
        tax_minor=sums.tax.minor,
        total_minor=sums.gross.minor,
    )
    return bill, lines


@st.composite
def _some_lines(draw: st.DrawFn, number: int) -> list[Line]:
    account = replace(draw(accounts(date(2022, 12, 1))), account_id=f"acc_{number}", ended_on=None)
    account = replace(account, subscribed_on=date(2022, 12, 1) + timedelta(days=draw(st.integers(0, 80))))
    return list(rate_month(account, draw(books), Period(date(2023, 1, 24), date(2023, 2, 24))).lines)


@given(issued_bills())
def test_a_credit_note_of_all_lines_is_the_bill(issued: tuple[Bill, list[Line]]) -> None:
    bill, lines = issued
    right = {key_of(line): Decimal(0) for line in lines if line.amount}
    if right:
        credit = for_lines(bill, lines, [], right)
        assert credit.total == total(lines, bill.currency, tax_of(bill))


@given(issued_bills(), st.integers(0, 5))
def test_lines_credited_one_by_one_come_to_the_bill_in_any_order(
    issued: tuple[Bill, list[Line]], order: int
) -> None:
    bill, lines = issued
    charged = [line for line in lines if line.amount][:3]
    notes: list[CreditNote] = []
    for line in _in_order(charged, order):
        credit = for_lines(bill, lines, notes, {key_of(line): Decimal(0)})
        notes.append(_note(bill, credit))
    whole, credited = total(charged, bill.currency, tax_of(bill)), credited_so_far(bill, notes)
    assert credited.net == whole.net
    if len(charged) == len([line for line in lines if line.amount]):
        assert credited == total(lines, bill.currency, tax_of(bill))


def _in_order(lines: list[Line], number: int) -> Iterator[Line]:
    orders = list(permutations(lines))
    yield from orders[number % len(orders)]


def _note(bill: Bill, credit: Any) -> CreditNote:
    return CreditNote(
        bill.pk,
        "note",
        currency=bill.currency,
        net_minor=credit.total.net.minor,
        tax_minor=credit.total.tax.minor,
        total_minor=credit.total.gross.minor,
        **stored(credit.lines),
    )


# Through the portal


START = datetime.fromisoformat("2023-12-20T08:00:00+00:00")
AGREED = Prices(
    date.min,
    START,
    Fraction(1, 8),
    {
        "box": AgreedPrice(205, 2050, tiers=((5, 199, 1990),)),
        "microsoft_365_exchange": AgreedPrice(333, 3330, method="average"),
    },
)
KINDS = {"box": "user", "microsoft_365_exchange": "mailbox"}


@pytest.fixture(scope="module")
def play() -> Iterator[Play]:
    with Play.begun(START, seed=0, months_looked_back=3) as begun:
        yield begun


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    payment_day=st.integers(1, 31),
    begun=st.lists(
        st.tuples(st.sampled_from(sorted(KINDS)), st.integers(0, 9), st.booleans(), st.booleans()),
        min_size=1,
        max_size=4,
    ),
    tax=st.integers(0, 25),
)
def test_what_the_portal_forecasts_is_what_it_bills_and_what_it_credits(
    play: Play, payment_day: int, begun: list[tuple[str, int, bool, bool]], tax: int
) -> None:
    empty = play.harness.snapshot()
    play.begin_anew(Diary())
    try:
        _forecast_bill_and_credit(play, payment_day, begun, Fraction(tax, 100))
    finally:
        play.harness.restore(empty)


def _forecast_bill_and_credit(
    play: Play, payment_day: int, begun: list[tuple[str, int, bool, bool]], tax: Fraction
) -> None:
    of = play.add_distributor(
        "North",
        AGREED,
        payment_day=payment_day,
        currency="USD",
        tax=tax,
        reverse_charge=False,
        method="invoice",
    )
    partner = play.add_partner(of, "Partner")
    for service, count, direct, by_trial in begun:
        mode = "trial_with_auto_subscription" if by_trial else "subscription_without_trial"
        account = play.add_account(of, DIRECT if direct else partner, mode, "monthly")
        states = [State(f"e{number}", KINDS[service], "active", None) for number in range(count)]
        task_id = play.add_task(account, service)
        if states:
            play.tell([play.event(account, task_id, play.now, *states)])
    # A period of which every day is counted like the last one: the second.
    first = next_payment_date(payment_day, play.now.date())
    billed_on = next_payment_date(payment_day, max(first, play.now.date() + timedelta(days=15)))
    while play.now.date() < billed_on - timedelta(days=1):
        ahead = min(billed_on - timedelta(days=1), next_payment_date(payment_day, play.now.date()))
        play.go_to(ahead, time(0, 1))
        play.night()
    shown = play.ask("billing.get_forecast", of)
    rows = play.ask("billing.list_billing_status", of, query={"limit": "100"})["items"]
    play.go_to(billed_on, time(0, 1))
    play.night()

    assert compare(play).differences == []
    bill = play.oracle.bills().get(("monthly", of, billed_on))
    billed = (bill.net, bill.tax, bill.gross) if bill else (0, 0, 0)
    assert tuple(shown[name]["minor"] for name in ("net", "tax", "total")) == billed
    assert sum(row["next_payment_forecast"]["minor"] for row in rows) == billed[0]
    if bill:
        latest = play.ask("billing.list_billing_history", of)["items"][0]
        play.credit(
            Correction(latest["reference"], lines=tuple((key, Fraction()) for key in bill.lines)), "USD"
        )
        latest = play.ask("billing.list_billing_history", of)["items"][0]
        assert (latest["credited"]["minor"], latest["state"]) == (bill.gross, "credited")
