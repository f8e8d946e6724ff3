from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.billing.rating import (
    NO_TAX,
    AccountUsage,
    Line,
    NoPriceInEffect,
    PriceBook,
    Rated,
    ServicePrice,
    Tax,
    Tier,
    Total,
    UnpricedService,
    amount_for,
    gross_by_account,
    price_book_in_effect,
    rate_month,
    rate_period,
    rate_term,
    rate_true_up,
    total,
)
from portal.billing.usage import Fact, Method
from portal.money import Money
from portal.periods import Period, nth_term, periods_ending

EXCHANGE, SALESFORCE = "microsoft_365_exchange", "salesforce"
LONG_AGO = date(2020, 1, 1)
MONTH = Period(date(2023, 1, 24), date(2023, 2, 24))
BOOK = PriceBook(
    effective_on=date(2023, 1, 1),
    currency="USD",
    discount=Decimal("0.4"),
    services={
        EXCHANGE: ServicePrice(monthly=300, annual=3000),
        SALESFORCE: ServicePrice(monthly=205, annual=2050),
    },
)


def constant(count: int, since: date = LONG_AGO) -> list[Fact]:
    return [Fact(since, count, 1)]


def daily(first: date, *counts: int) -> list[Fact]:
    return [Fact(first + timedelta(days=n), count, 1) for n, count in enumerate(counts)]


def account(
    *,
    account_id: str = "acc_1",
    exchange: int | Sequence[Fact] = 0,
    salesforce: int | Sequence[Fact] = 0,
    plan: str = "monthly",
    subscribed_on: date | None = LONG_AGO,
    ended_on: date | None = None,
) -> AccountUsage:
    facts: Mapping[str, Sequence[Fact]] = {
        service: constant(given) if isinstance(given, int) else given
        for service, given in ((SALESFORCE, salesforce), (EXCHANGE, exchange))
    }
    return AccountUsage(
        account_id=account_id,
        partner_id="prt_1",
        name="Moby Dick",
        email="moby.dick@example.com",
        plan=plan,  # type: ignore[arg-type]
        subscribed_on=subscribed_on,
        ended_on=ended_on,
        facts=facts,
    )


def book(**price: object) -> PriceBook:
    return replace(BOOK, services={EXCHANGE: ServicePrice(**{"monthly": 300, "annual": 3000, **price})})  # type: ignore[arg-type]


def amounts(rated: Rated) -> list[int]:
    return [line.amount for line in rated.lines]


# The figures of the two guides


def test_98_seats_at_3_dollars_less_40_percent_are_176_40_a_month() -> None:
    rated = rate_month(account(exchange=98), BOOK, MONTH)
    assert rated == Rated(
        (
            Line(
                account_id="acc_1",
                partner_id="prt_1",
                account_name="Moby Dick",
                account_email="moby.dick@example.com",
                service=EXCHANGE,
                kind="monthly",
                quantity=Decimal(98),
                unit_price=300,
                discount=Decimal("0.4"),
                days=31,
                of_days=31,
                amount=17640,
            ),
        )
    )


@pytest.mark.parametrize(("seats", "owed"), [(4, "112.32"), (1, "28.08")])
def test_twelve_unpaid_months_at_2_dollars_with_17_percent_tax(seats: int, owed: str) -> None:
    earlier = replace(BOOK, discount=Decimal(0), services={EXCHANGE: ServicePrice(monthly=200, annual=2000)})
    tax = Tax(Decimal("0.17"), "VAT")
    due = Money.zero("USD")
    for month in list(periods_ending(24, date(2022, 1, 24), date(2023, 1, 24))):
        lines = [
            *rate_month(account(account_id="acc_1", exchange=seats), earlier, month).lines,
            *rate_month(account(account_id="acc_2", exchange=57), earlier, month).lines,
        ]
        due += gross_by_account(lines, total(lines, "USD", tax))["acc_1"]
    assert due.amount == owed


@pytest.mark.parametrize(("exchange", "salesforce", "amount"), [(28, 1, "516.30"), (60, 20, "1326.00")])
def test_an_annual_renewal_over_two_services(exchange: int, salesforce: int, amount: str) -> None:
    renewing = account(exchange=exchange, salesforce=salesforce, plan="annual")
    rated = rate_term(renewing, BOOK, nth_term(date(2022, 7, 14), 1))
    assert total(rated.lines, "USD").gross.amount == amount
    assert [(line.kind, line.service) for line in rated.lines] == [
        ("annual", EXCHANGE),
        ("annual", SALESFORCE),
    ]


# A month


def test_the_day_of_subscribing_counts_and_the_day_of_removal_does_not() -> None:
    subscribed = account(exchange=10, subscribed_on=date(2023, 2, 1), ended_on=date(2023, 2, 11))
    (line,) = rate_month(subscribed, BOOK, MONTH).lines
    assert (line.days, line.of_days) == (10, 31)
    assert line.amount == 581  # 10 x 1.80 x 10 / 31 = 5.806


def test_the_quantity_looks_at_subscribed_days_only() -> None:
    facts = daily(date(2023, 1, 31), 50, 10, 12, 90)
    subscribed = account(exchange=facts, subscribed_on=date(2023, 2, 1), ended_on=date(2023, 2, 3))
    (line,) = rate_month(subscribed, BOOK, MONTH).lines
    assert line.quantity == 12 and line.days == 2


@pytest.mark.parametrize(("method", "quantity"), [("peak", "12"), ("average", "8.3333"), ("last", "4")])
def test_the_price_book_says_how_a_quantity_comes_about(method: Method, quantity: str) -> None:
    facts = daily(date(2023, 2, 21), 12, 9, 4)
    subscribed = account(exchange=facts, subscribed_on=date(2023, 2, 21))
    (line,) = rate_month(subscribed, book(method=method), MONTH).lines
    assert str(line.quantity) == quantity


def test_a_line_can_be_worked_out_from_what_it_shows_and_is_rounded_once() -> None:
    subscribed = account(exchange=daily(date(2023, 2, 21), 1, 1, 2), subscribed_on=date(2023, 2, 21))
    odd = replace(book(method="average"), discount=Decimal("0.333"))
    (line,) = rate_month(subscribed, odd, MONTH).lines
    assert (line.quantity, line.days, line.of_days) == (Decimal("1.3333"), 3, 31)
    assert line.amount == 26  # 1.3333 x 3.00 x 0.667 x 3 / 31 = 0.2582
    half = replace(book(monthly=1), discount=Decimal("0.5"))
    assert amounts(rate_month(account(exchange=1), half, MONTH)) == [1]
    assert amounts(rate_month(account(exchange=3), half, MONTH)) == [2]


@given(
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    st.decimals(0, 1, places=4),
    st.integers(0, 30),
    st.integers(1, 31),
)
def test_an_amount_agrees_with_long_decimals(
    seats: int, price: int, discount: Decimal, start: int, length: int
) -> None:
    first = MONTH.start + timedelta(days=start)
    subscribed = account(exchange=seats, subscribed_on=first, ended_on=first + timedelta(days=length))
    rated = rate_month(subscribed, replace(book(monthly=price), discount=discount), MONTH)
    days = min(length, 31 - start)
    with localcontext() as context:
        context.prec = 60
        expected = (seats * price * (1 - discount) * days / 31).quantize(Decimal(1), ROUND_HALF_UP)
    assert sum(amounts(rated)) == expected
    assert (rated.excluded_reason == "free") == (expected == 0) == (not rated.lines)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (account(exchange=5, plan="trial", subscribed_on=None), "trial"),
        (account(exchange=5, plan="annual"), "annual"),
        (account(exchange=5, subscribed_on=MONTH.end), "trial"),
        (account(exchange=5, ended_on=MONTH.start), "removed"),
        (account(exchange=5, plan="annual", ended_on=MONTH.start), "removed"),
        (account(exchange=5, subscribed_on=date(2023, 2, 1), ended_on=date(2023, 2, 1)), "removed"),
        (account(), "free"),
        (account(exchange=daily(date(2023, 1, 20), 5, 0)), "free"),
        (account(exchange=daily(MONTH.end, 5)), "free"),
    ],
)
def test_an_account_without_a_line_has_a_reason(given: AccountUsage, reason: str) -> None:
    assert rate_month(given, BOOK, MONTH) == Rated((), reason)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        account(exchange=5, subscribed_on=MONTH.end - timedelta(days=1)),
        account(exchange=5, ended_on=MONTH.start + timedelta(days=1)),
    ],
)
def test_a_single_subscribed_day_is_billed(given: AccountUsage) -> None:
    (line,) = rate_month(given, BOOK, MONTH).lines
    assert line.days == 1 and line.amount == 29  # 5 x 1.80 / 31 = 0.2903


def changing(exchange: int, *plans: tuple[str, date]) -> list[AccountUsage]:
    """The spans of an account, each from its day to that of the next."""
    ends = [*(day for _, day in plans[1:]), None]
    return [
        account(exchange=exchange, plan=plan, subscribed_on=day, ended_on=end)
        for (plan, day), end in zip(plans, ends, strict=True)
    ]


def test_of_several_spans_the_monthly_days_are_billed() -> None:
    to_annual = changing(5, ("monthly", LONG_AGO), ("annual", date(2023, 2, 3)))
    to_monthly = changing(5, ("annual", LONG_AGO), ("monthly", date(2023, 2, 3)))
    in_between = changing(
        5, ("annual", LONG_AGO), ("monthly", date(2023, 1, 30)), ("annual", date(2023, 2, 3))
    )
    twice = changing(5, ("monthly", LONG_AGO), ("annual", date(2023, 2, 3)), ("monthly", date(2023, 2, 22)))
    days = [
        [line.days for line in rate_period(spans, BOOK, MONTH).lines]
        for spans in (to_annual, to_monthly, in_between, twice)
    ]
    assert days == [[10], [21], [4], [10, 2]]


@pytest.mark.parametrize(
    ("spans", "reason"),
    [
        (changing(5, ("monthly", LONG_AGO), ("annual", MONTH.start)), "annual"),
        (changing(5, ("annual", LONG_AGO), ("monthly", MONTH.end)), "annual"),
        (changing(5, ("monthly", MONTH.end), ("annual", date(2023, 5, 1))), "trial"),
        (changing(0, ("monthly", LONG_AGO), ("annual", date(2023, 2, 3))), "free"),
        (changing(0, ("annual", LONG_AGO), ("monthly", date(2023, 2, 3))), "free"),
        (changing(0, ("annual", LONG_AGO), ("monthly", date(2022, 2, 3)), ("annual", MONTH.start)), "annual"),
        ([account(plan="trial", subscribed_on=None)], "trial"),
        (
            [
                *changing(5, ("monthly", LONG_AGO), ("annual", date(2022, 5, 1)))[:1],
                account(exchange=5, plan="annual", subscribed_on=date(2022, 5, 1), ended_on=MONTH.start),
            ],
            "removed",
        ),
    ],
)
def test_without_a_line_the_span_at_the_end_has_the_reason(spans: list[AccountUsage], reason: str) -> None:
    assert rate_period(spans, BOOK, MONTH) == Rated((), reason)  # type: ignore[arg-type]


def test_a_full_discount_leaves_nothing_to_bill() -> None:
    assert (
        rate_month(account(exchange=5), replace(BOOK, discount=Decimal(1)), MONTH).excluded_reason == "free"
    )


@given(st.integers(1, 31), st.integers(0, 800), st.integers(0, 800))
def test_every_subscribed_day_is_on_exactly_one_line(payment_day: int, start: int, length: int) -> None:
    subscribed_on = LONG_AGO + timedelta(days=start)
    ended_on = subscribed_on + timedelta(days=length)
    subscribed = account(exchange=3, subscribed_on=subscribed_on, ended_on=ended_on)
    rated = [
        rate_month(subscribed, BOOK, month)
        for month in periods_ending(payment_day, LONG_AGO, ended_on + timedelta(days=62))
    ]
    assert sum(line.days for each in rated for line in each.lines) == length
    assert all(bool(each.lines) != bool(each.excluded_reason) for each in rated)


def test_a_used_service_without_a_price_is_never_guessed() -> None:
    with pytest.raises(UnpricedService, match=SALESFORCE):
        rate_month(account(exchange=1, salesforce=1), book(), MONTH)
    assert len(rate_month(account(exchange=1, salesforce=0), book(), MONTH).lines) == 1


# Tiers and versions

TIERS = (
    Tier(100, monthly=250, annual=2500),
    Tier(10, monthly=280, annual=2800),
    Tier(1000, monthly=100, annual=900),
)


@pytest.mark.parametrize(
    ("seats", "unit_price"),
    [(9, 300), (10, 280), (99, 280), (100, 250), (999, 250), (1000, 100), (5000, 100)],
)
def test_the_whole_quantity_sets_the_price_of_every_unit(seats: int, unit_price: int) -> None:
    (line,) = rate_month(account(exchange=seats), book(tiers=TIERS), MONTH).lines
    assert line.unit_price == unit_price
    assert line.amount * 10 == seats * unit_price * 6


def test_a_tier_has_an_annual_price_of_its_own() -> None:
    rated = rate_term(account(exchange=100, plan="annual"), book(tiers=TIERS), nth_term(LONG_AGO, 3))
    assert [line.unit_price for line in rated.lines] == [2500]


@pytest.mark.parametrize(
    ("on", "discount"),
    [
        (date(2023, 1, 1), "0.1"),
        (date(2023, 5, 31), "0.1"),
        (date(2023, 6, 1), "0.3"),
        (date(2024, 1, 1), "0.2"),
    ],
)
def test_the_version_that_became_effective_last_is_in_effect(on: date, discount: str) -> None:
    versions = [
        replace(BOOK, effective_on=date(2023, 12, 1), discount=Decimal("0.2")),
        replace(BOOK, effective_on=date(2023, 1, 1), discount=Decimal("0.1")),
        replace(BOOK, effective_on=date(2023, 6, 1), discount=Decimal("0.9")),
        replace(BOOK, effective_on=date(2023, 6, 1), discount=Decimal("0.3")),
    ]
    assert price_book_in_effect(versions, on).discount == Decimal(discount)


@pytest.mark.parametrize("versions", [[], [BOOK]])
def test_no_version_in_effect_is_an_error(versions: list[PriceBook]) -> None:
    with pytest.raises(NoPriceInEffect):
        price_book_in_effect(versions, date(2022, 12, 31))


@pytest.mark.parametrize(
    "nonsense",
    [
        lambda: replace(BOOK, discount=Decimal("1.01")),
        lambda: replace(BOOK, discount=Decimal("-0.01")),
        lambda: replace(BOOK, currency="usd"),
        lambda: book(monthly=-1),
        lambda: book(annual=-1),
        lambda: book(tiers=(Tier(1, -1, 1),)),
        lambda: book(tiers=(Tier(1, 1, 1), Tier(1, 2, 2))),
        lambda: book(weights={"active": Decimal(-1)}),
        lambda: Tax(Decimal(17), "VAT"),
        lambda: Tax(Decimal("-0.1"), "VAT"),
        lambda: account(subscribed_on=None),
    ],
)
def test_nonsense_cannot_be_rated(nonsense) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError):
        nonsense()


# A term and its true-ups

TERM = nth_term(date(2022, 8, 17), 0)


def test_a_term_is_invoiced_at_the_count_of_the_evening_before() -> None:
    facts = daily(TERM.start - timedelta(days=2), 9, 7, 30)
    (line,) = rate_term(account(exchange=facts, plan="annual"), BOOK, TERM).lines
    assert (line.quantity, line.days, line.of_days, line.amount) == (Decimal(7), 365, 365, 12600)


def test_what_was_last_used_two_days_before_the_term_is_on_no_line_and_needs_no_price() -> None:
    eve = TERM.start - timedelta(days=1)
    given_up = daily(eve - timedelta(days=1), 5, 0)
    (line,) = rate_term(account(exchange=7, salesforce=given_up, plan="annual"), BOOK, TERM).lines
    assert line.service == EXCHANGE
    assert rate_term(account(exchange=7, salesforce=given_up, plan="annual"), book(), TERM).lines
    with pytest.raises(UnpricedService):
        rate_term(account(exchange=7, salesforce=daily(eve, 5, 0), plan="annual"), book(), TERM)


def test_a_leap_term_costs_no_more() -> None:
    leap = nth_term(date(2023, 8, 17), 0)
    (line,) = rate_term(account(exchange=7, plan="annual"), BOOK, leap).lines
    assert (line.days, line.of_days, line.amount) == (366, 366, 7 * 1800)


def test_nothing_to_bill_is_no_invoice_and_nor_is_an_ended_account() -> None:
    assert rate_term(account(plan="annual"), BOOK, TERM) == Rated((), "free")
    ended = account(exchange=7, plan="annual", ended_on=TERM.start)
    assert rate_term(ended, BOOK, TERM) == Rated((), "removed")
    assert rate_term(replace(ended, ended_on=TERM.start + timedelta(days=1)), BOOK, TERM).lines


def test_growth_is_invoiced_from_the_payment_day_to_the_terms_end() -> None:
    payment_date = date(2023, 1, 24)
    facts = daily(payment_date - timedelta(days=2), 50, 12, 60)
    grown = account(exchange=facts, salesforce=4, plan="annual")
    rated = rate_true_up(grown, BOOK, TERM, payment_date, {EXCHANGE: Decimal(7), SALESFORCE: Decimal(5)})
    (line,) = rated.lines
    assert (line.kind, line.service, line.quantity) == ("true_up", EXCHANGE, Decimal(5))
    assert (line.days, line.of_days) == (205, 365)
    assert line.amount == 5055  # 5 x 18.00 x 205 / 365 = 50.548


def test_a_true_up_is_priced_at_the_tier_which_the_whole_quantity_reached() -> None:
    grown = account(exchange=10, plan="annual")
    rated = rate_true_up(grown, book(tiers=TIERS), TERM, TERM.start, {EXCHANGE: Decimal(9)})
    assert [(line.quantity, line.unit_price, line.amount) for line in rated.lines] == [
        (Decimal(1), 2800, 1680)
    ]


def test_a_service_new_in_the_term_is_all_growth() -> None:
    rated = rate_true_up(account(exchange=2, plan="annual"), BOOK, TERM, TERM.start, {})
    assert amounts(rated) == [3600]


@pytest.mark.parametrize("invoiced", [5, 6])
def test_shrinking_gives_nothing_back(invoiced: int) -> None:
    steady = account(exchange=5, plan="annual")
    rated = rate_true_up(steady, BOOK, TERM, date(2023, 1, 24), {EXCHANGE: Decimal(invoiced)})
    assert rated == Rated((), "free")


def test_an_ended_account_has_no_true_up() -> None:
    ended = account(exchange=5, plan="annual", ended_on=date(2023, 1, 24))
    assert rate_true_up(ended, BOOK, TERM, date(2023, 1, 24), {}) == Rated((), "removed")


@pytest.mark.parametrize("payment_date", [TERM.start - timedelta(days=1), TERM.end])
def test_a_payment_day_outside_the_term_is_an_error(payment_date: date) -> None:
    with pytest.raises(ValueError, match="not within the term"):
        rate_true_up(account(exchange=5, plan="annual"), BOOK, TERM, payment_date, {})


# Totals


def lines_of(*nets: int) -> list[Line]:
    (line,) = rate_month(account(exchange=1), BOOK, MONTH).lines
    return [replace(line, account_id=f"acc_{n}", amount=net) for n, net in enumerate(nets)]


def test_tax_is_applied_once_to_the_net_total() -> None:
    tax = Tax(Decimal("0.17"), "VAT")
    lines = lines_of(3, 3, 3)  # three taxes of 0.51 would round up to 3
    assert total(lines, "USD", tax) == Total(Money(9, "USD"), Money(2, "USD"), Money(11, "USD"))
    assert total(lines_of(50), "USD", Tax(Decimal("0.01"), "VAT")).tax == Money(1, "USD")
    assert total([], "USD", tax).gross == Money(0, "USD")


def test_reverse_charge_charges_no_tax() -> None:
    bill = total(lines_of(1000), "USD", Tax(Decimal("0.17"), "VAT", reverse_charge=True))
    assert bill == total(lines_of(1000), "USD", NO_TAX) == total(lines_of(1000), "USD")
    assert bill.tax == Money(0, "USD") and bill.gross == Money(1000, "USD")


def test_the_tax_is_shared_out_to_the_cent() -> None:
    lines = lines_of(3, 3, 3)
    shares = gross_by_account(lines, total(lines, "USD", Tax(Decimal("0.17"), "VAT")))
    assert shares == {"acc_0": Money(4, "USD"), "acc_1": Money(4, "USD"), "acc_2": Money(3, "USD")}
    assert gross_by_account([], total([], "USD")) == {}


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 10**7)), max_size=12), st.decimals(0, 1, places=4)
)
def test_the_accounts_shares_are_the_bill(parts: list[tuple[int, int]], rate: Decimal) -> None:
    lines = [replace(lines_of(net)[0], account_id=f"acc_{n}") for n, net in parts]
    bill = total(lines, "USD", Tax(rate, "VAT"))
    shares = gross_by_account(lines, bill)
    assert bill.net + bill.tax == bill.gross
    assert sum(share.minor for share in shares.values()) == bill.gross.minor
    assert set(shares) == {line.account_id for line in lines}
    for account_id, share in shares.items():
        net = sum(line.amount for line in lines if line.account_id == account_id)
        assert abs(share.minor - net * (1 + rate)) < 2


# Edges


def test_what_has_not_grown_is_on_no_true_up() -> None:
    grown = account(exchange=5, salesforce=3, plan="annual")
    invoiced = {EXCHANGE: Decimal(5), SALESFORCE: Decimal(1)}
    rated = rate_true_up(grown, BOOK, TERM, TERM.start, invoiced)
    assert [(line.service, line.quantity) for line in rated.lines] == [(SALESFORCE, Decimal(2))]


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ({"monthly": -1}, "A unit price cannot be negative"),
        ({"tiers": (Tier(1, -1, 0),)}, "A tier's unit price cannot be negative"),
        ({"tiers": (Tier(1, 0, 0), Tier(1, 1, 1))}, "Two tiers begin at the same quantity"),
        ({"weights": {"active": Decimal(-1)}}, "A status cannot weigh less than nothing"),
    ],
)
def test_prices_that_cannot_be_are_refused(price: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}.$"):
        book(**price)


def test_a_price_a_tier_and_a_weight_may_be_nothing() -> None:
    free = book(monthly=0, tiers=(Tier(5, 0, 0),), weights={"active": Decimal(0)})
    assert free.price_of(EXCHANGE).unit_price("annual", Decimal(5)) == 0


@pytest.mark.parametrize("rate", ["-0.01", "1.01", "2"])
def test_a_tax_is_a_part_of_the_whole(rate: str) -> None:
    with pytest.raises(ValueError, match="fraction from 0 to 1"):
        Tax(Decimal(rate), "VAT")


def test_another_quantity_is_priced_for_the_same_days() -> None:
    (line,) = rate_month(account(exchange=4, subscribed_on=date(2023, 2, 10)), BOOK, MONTH).lines
    assert amount_for(line, line.quantity) == line.amount
    assert amount_for(line, 2 * line.quantity) == 650  # 8 x 1.80 x 14 / 31 = 6.503


def test_shares_of_an_account_with_several_lines_add_up() -> None:
    lines = [replace(line, account_id="acc_1") for line in lines_of(100, 50)]
    bill = total(lines, "USD", Tax(Decimal("0.17"), "VAT"))
    assert gross_by_account(lines, bill) == {"acc_1": bill.gross}
