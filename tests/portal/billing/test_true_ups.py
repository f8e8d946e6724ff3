from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from portal.accounts.records import Renewal
from portal.billing.rating import AccountUsage, Line
from portal.billing.true_ups import may_grow, recorded, with_true_ups
from portal.change import Change
from portal.periods import Period

TERM_START, TERM_END = date(2023, 1, 12), date(2024, 1, 12)


def a_renewal(**values: Any) -> Renewal:
    known: dict[str, Any] = {
        "due_at": datetime(2024, 1, 12, tzinfo=UTC),
        "term_start_on": TERM_START,
        "invoiced": {"salesforce": "4"},
        "true_ups": {},
    }
    return Renewal("pk", "sk", **known | values)


def a_line(quantity: str, kind: str = "true_up", service: str = "salesforce") -> Line:
    return Line(
        account_id="acc_1",
        partner_id="prt_1",
        account_name="Moby Dick",
        account_email="moby@example.com",
        service=service,
        kind=kind,  # type: ignore[arg-type]
        quantity=Decimal(quantity),
        unit_price=1,
        discount=Decimal(0),
        days=1,
        of_days=1,
        amount=1,
    )


@pytest.mark.parametrize(
    ("plan", "ended_on", "on", "may"),
    [
        ("annual", None, date(2023, 1, 24), True),
        ("annual", None, date(2023, 1, 12), False),
        ("annual", None, date(2023, 1, 11), False),
        ("annual", None, date(2024, 1, 12), False),
        ("annual", None, date(2024, 1, 13), True),
        ("annual", date(2023, 1, 24), date(2023, 1, 24), False),
        ("annual", date(2023, 1, 25), date(2023, 1, 24), True),
        ("monthly", None, date(2023, 1, 24), False),
    ],
)
def test_who_can_have_grown(plan: Any, ended_on: date | None, on: date, may: bool) -> None:
    account = AccountUsage("acc_1", "prt_1", "Moby", "moby@example.com", plan, TERM_START, ended_on)

    assert may_grow(account, on) is may


def test_what_was_invoiced_includes_earlier_true_ups_and_not_this_one() -> None:
    true_ups = {"2023-01-24": {"salesforce": "2"}, "2023-02-24": {"box": "1.5", "salesforce": "1"}}
    renewal, at_first = a_renewal(true_ups=true_ups), {"salesforce": Decimal(4)}

    assert with_true_ups(at_first, renewal, Period(TERM_START, date(2023, 2, 24))) == {
        "salesforce": Decimal(6)
    }
    assert with_true_ups(at_first, renewal, Period(TERM_START, date(2023, 3, 24))) == {
        "salesforce": Decimal(7),
        "box": Decimal("1.5"),
    }


def test_true_ups_of_another_term_do_not_count() -> None:
    renewal = a_renewal(true_ups={"2022-12-24": {"salesforce": "2"}, "2023-01-24": {"salesforce": "3"}})

    assert with_true_ups({}, renewal, Period(TERM_START, TERM_END)) == {"salesforce": Decimal(3)}
    assert with_true_ups({}, renewal, Period(date(2022, 1, 12), TERM_START)) == {"salesforce": Decimal(2)}


def test_a_true_up_is_recorded_once() -> None:
    renewal, on = a_renewal(), date(2023, 1, 24)
    billed = [a_line("2"), a_line("9", kind="monthly", service="box")]

    change = recorded(renewal, on, billed)

    assert change == Change(true_ups={"2023-01-24": {"salesforce": "2"}})
    renewal.true_ups = change["true_ups"]
    assert recorded(renewal, on, billed) == Change()


def test_a_true_up_is_recorded_also_when_its_term_is_over_and_forgotten_after_a_year() -> None:
    known = {"2022-12-24": {"salesforce": "1"}, "2023-02-24": {"salesforce": "5"}}
    later = a_renewal(term_start_on=TERM_END, due_at=datetime(2025, 1, 12, tzinfo=UTC), true_ups=known)

    assert recorded(later, date(2023, 12, 24), [a_line("2")]) == Change(
        true_ups=known | {"2023-12-24": {"salesforce": "2"}}
    )
    assert recorded(later, date(2023, 12, 26), [a_line("2")]) == Change(
        true_ups={"2023-02-24": {"salesforce": "5"}, "2023-12-26": {"salesforce": "2"}}
    )
