"""The checks by themselves, where the scenario's table has no such case."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from portal.accounts.records import Account, Renewal
from portal.billing.reconciliation import accounts, documents, payments
from portal.billing.reconciliation.findings import Finding, confirmed
from portal.billing.records import Bill
from portal.payments.records import PaymentPage

NOW = datetime(2023, 3, 1, 4, 30, tzinfo=UTC)


def a_bill(**values: Any) -> Bill:
    given = {
        "bill_kind": "monthly", "bill_method": "invoice", "state": "issued", "currency": "USD", "reference": "10001",
        "period_start_on": date(2022, 12, 24), "period_end_on": date(2023, 1, 24), "issued_on": date(2023, 2, 10),
        "due_on": date(2023, 3, 12), "total_minor": 100, "look_at": datetime(2023, 3, 12, tzinfo=UTC),
    }  # fmt: skip
    return Bill("D#dst_1|", "BILL", payer={}, prices={}, **given | values)


def an_account(**values: Any) -> Account:
    given = {"state": "subscribed", "plan": "monthly", "subscribed_on": date(2023, 1, 10)}
    default = {"mode": "trial_with_auto_subscription", "plan": "monthly"}
    return Account(
        "D#dst_1|P#direct|A#acc_1|",
        "NODE",
        account_id="acc_1",
        subscription_default=default,
        **given | values,
    )


def test_what_is_not_found_again_was_only_being_changed() -> None:
    one, other = Finding("B6", "bill 1", "One."), Finding("B6", "bill 1", "Other.")
    assert confirmed(lambda again: iter([one] if again else [one, other])) == [one]
    assert confirmed(lambda again: iter([one] if again else [])) == []
    assert one.key != other.key


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({}, []),
        ({"state": "overdue"}, ["B6"]),
        ({"state": "lost"}, ["B6"]),
        ({"paid_minor": 100}, ["B6"]),
        ({"due_on": date(2023, 3, 13)}, ["B6"]),
        ({"look_at": None}, ["B6"]),
        ({"look_at": NOW - timedelta(days=3)}, ["B6"]),
        ({"state": "parked", "parked_because": ["negative_line"]}, ["B11"]),
        ({"state": "draft"}, ["B6"]),
        ({"state": "credited", "paid_minor": 100, "look_at": None}, ["B6"]),
    ],
)
def test_states_follow_from_what_has_happened(values: dict[str, Any], found: list[str]) -> None:
    assert [each.invariant for each in documents.check_state(a_bill(**values), NOW, held=False)] == found


def test_of_a_distributor_that_is_held_nothing_is_late() -> None:
    late = a_bill(look_at=NOW - timedelta(days=3))
    assert list(documents.check_state(late, NOW, held=True)) == []


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({}, []),
        ({"created_at": datetime(2023, 1, 11, tzinfo=UTC)}, ["B12"]),
        ({"trial_ends_at": datetime(2023, 1, 9, tzinfo=UTC)}, ["B12"]),
        ({"plan": None}, ["B12"]),
        ({"ended_on": date(2023, 2, 1)}, ["B9"]),
        ({"state": "removed"}, ["B9"]),
        ({"state": "removed", "ended_on": date(2023, 2, 1)}, []),
    ],
)
def test_how_an_account_was_subscribed_and_ended_fits(values: dict[str, Any], found: list[str]) -> None:
    assert [each.invariant for each in accounts.check_subscription(an_account(**values))] == found


def test_a_late_invoice_is_found_unless_it_waits_for_an_operator() -> None:
    account = an_account(plan="annual")
    renewal = Renewal("D#dst_1|P#direct|A#acc_1|", "RENEWAL", due_at=datetime(2023, 1, 10, tzinfo=UTC))

    (found,) = accounts.check_renewal(account, renewal, NOW, waits=False)
    assert found.invariant == "B2"
    assert list(accounts.check_renewal(account, renewal, NOW, waits=True)) == []
    assert [each.invariant for each in accounts.check_renewal(account, None, NOW, waits=False)] == ["B2"]


def test_an_invoice_of_the_day_of_removal_is_right_and_one_issued_later_is_not() -> None:
    account = an_account(plan="annual", state="removed", ended_on=date(2023, 1, 10))
    line = {"account_id": "acc_1", "kind": "annual", "days": 365, "of_days": 365}

    def found(issued_on: date) -> list[str]:
        period = {"period_start_on": date(2023, 1, 10), "period_end_on": date(2024, 1, 10)}
        bill = a_bill(bill_kind="annual", issued_on=issued_on, **period)
        return [each.invariant for each in accounts.check_lines(bill, account, [line], NOW)]

    assert found(date(2023, 1, 10)) == []
    assert found(date(2023, 1, 11)) == ["B9"]


def test_money_promised_on_a_payment_page_is_awaited_for_a_while() -> None:
    class Taken:
        intent_id, received_minor, metadata = "pi_1", 100, {"reference": "10001"}

    def found(state: str, at: datetime) -> int:
        page = PaymentPage(
            "D#dst_1|BILL|", "PAYMENT_PAGE", state=state, amount_minor=100, asked_at=at, offered_until=at
        )
        taken: Any = Taken()
        return len(list(payments.check_charged(taken, a_bill(), None, page, NOW)))

    assert found("open", NOW - timedelta(hours=23)) == 0
    assert found("open", NOW - timedelta(days=2)) == 1
    assert found("processing", NOW - timedelta(days=2)) == 0
    assert found("processing", NOW - timedelta(days=15)) == 1
    assert found("closed", NOW) == 1
