from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.change import Change
from portal.distributors import rules
from portal.periods import payment_dates


def a_distributor(**values: Any) -> Any:
    usual = {"name": "North", "country": "LU", "tax_rate": Decimal("0.17"), "tax_name": "VAT", "tax_id": None}
    return SimpleNamespace(**usual | {"reverse_charge": False, "address": ["1, rue"]} | values)


@given(
    payment_day=st.integers(1, 31),
    now=st.datetimes(
        datetime(2019, 12, 31),
        datetime(2032, 3, 1),
        timezones=st.just(UTC),
    ),
)
def test_the_first_period_is_the_present_one_and_its_jobs_lie_ahead(payment_day: int, now: datetime) -> None:
    begin = rules.begin(payment_day, now)
    assert begin.billed_from_on <= now.date() < begin.monthly_due_at.date()
    assert now < begin.usage_due_at <= now + timedelta(days=1)
    assert begin.usage_due_at <= begin.monthly_due_at
    dates = payment_dates(payment_day, begin.billed_from_on)
    assert [next(dates), next(dates)] == [begin.billed_from_on, begin.monthly_due_at.date()]
    assert begin.monthly_due_at.time() == begin.usage_due_at.time() == datetime.min.time()


def test_a_payment_day_starts_a_period() -> None:
    begin = rules.begin(24, datetime(2023, 1, 24, tzinfo=UTC))
    assert begin == rules.Beginning(
        date(2023, 1, 24), datetime(2023, 1, 25, tzinfo=UTC), datetime(2023, 2, 24, tzinfo=UTC)
    )


def test_prices_are_in_the_distributors_currency() -> None:
    rules.check_currencies("EUR", None)
    rules.check_currencies("EUR", "EUR")
    for currency, of_prices, field in (("EUR", "USD", "prices.currency"), ("XXX", None, "currency")):
        with pytest.raises(rules.InvalidTerms) as refused:
            rules.check_currencies(currency, of_prices)
        assert [error.field for error in refused.value.errors] == [field]


def test_reverse_charge_needs_a_tax_id() -> None:
    rules.check_tax(False, None)
    rules.check_tax(True, "LU1")
    for tax_id in (None, ""):
        with pytest.raises(rules.InvalidTerms):
            rules.check_tax(True, tax_id)


def test_a_change_holds_what_differs_and_keeps_the_terms_together() -> None:
    assert rules.change(a_distributor(), {"name": "North", "tax_rate": Decimal("0.170")}) == Change()
    assert rules.change(a_distributor(), {"tax_id": "LU1", "reverse_charge": True}) == Change(
        tax_id="LU1", reverse_charge=True
    )
    with pytest.raises(rules.InvalidTerms):
        rules.change(a_distributor(), {"reverse_charge": True})
    with pytest.raises(rules.InvalidTerms):
        rules.change(a_distributor(reverse_charge=True, tax_id="LU1"), {"tax_id": None})


def test_a_change_is_told_in_words() -> None:
    change = Change(tax_rate=Decimal("0.19"), reverse_charge=False, address=["2, rue", "L-1"], tax_id=None)
    assert rules.described(a_distributor(), change) == (
        "Changed distributor North: "
        "tax rate to 0.19, reverse charge to no, address to 2, rue, L-1, tax id to nothing"
    )
