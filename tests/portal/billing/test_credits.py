from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.billing import credits
from portal.billing.lines import lines_of
from portal.billing.rating import Line, Tax, amount_for, total
from portal.billing.records import Bill, CreditNote
from portal.errors import Invalid
from portal.money import Money

VAT = Tax(Decimal("0.17"), "VAT")


def a_line(number: int = 1, quantity: str = "10", **values: Any) -> Line:
    line = {
        "account_id": f"acc_{number}",
        "partner_id": "direct",
        "account_name": f"Customer {number}",
        "account_email": f"customer{number}@example.com",
        "service": "box",
        "kind": "monthly",
        "quantity": Decimal(quantity),
        "unit_price": 301,
        "discount": Decimal("0.4"),
        "days": 17,
        "of_days": 31,
        "amount": 0,
    } | values
    unpriced = Line(**line)
    return Line(**{**line, "amount": amount_for(unpriced, unpriced.quantity)})


def a_bill(lines: list[Line], tax: Tax = VAT, **values: Any) -> Bill:
    sums = total(lines, "USD", tax)
    attributes = {
        "bill_kind": "monthly",
        "state": "issued",
        "currency": "USD",
        "issued_on": date(2023, 1, 24),
        "tax_rate": tax.rate,
        "tax_name": tax.name,
        "reverse_charge": tax.reverse_charge,
        "net_minor": sums.net.minor,
        "tax_minor": sums.tax.minor,
        "total_minor": sums.gross.minor,
    }
    return Bill("D#dst_north|", "BILL#2023-01-24#monthly#invoice", **attributes | values)


def a_note(bill: Bill, credit: credits.Credit) -> CreditNote:
    attributes = {
        name: getattr(bill, name) for name in ("currency", "tax_rate", "tax_name", "reverse_charge")
    }
    sums = {
        "net_minor": credit.total.net.minor,
        "tax_minor": credit.total.tax.minor,
        "total_minor": credit.total.gross.minor,
    }
    return CreditNote("D#dst_north|", "CREDIT#", **attributes, **sums, **credits.stored(credit.lines))


def test_a_lower_quantity_is_priced_as_the_line_was_billed() -> None:
    lines = [a_line(), a_line(2)]
    credit = credits.for_lines(a_bill(lines), lines, [], {credits.key_of(lines[0]): Decimal(4)})
    [credited] = credit.lines
    assert (credited.account_id, credited.quantity) == ("acc_1", Decimal(6))
    assert credited.amount == lines[0].amount - amount_for(lines[0], Decimal(4))
    assert credit.total.net.minor == credited.amount
    assert credit.total.net + credit.total.tax == credit.total.gross


QUANTITIES = st.lists(st.integers(1, 400), min_size=1, max_size=8)


@given(quantities=QUANTITIES, steps=st.lists(st.integers(0, 399), min_size=0, max_size=4))
def test_step_by_step_down_to_nothing_it_is_the_whole_bill_tax_included(
    quantities: list[int], steps: list[int]
) -> None:
    lines = [a_line(number, str(quantity)) for number, quantity in enumerate(quantities)]
    bill = a_bill(lines)
    notes: list[CreditNote] = []
    credited = 0
    for step in [*sorted(set(steps), reverse=True), 0]:
        right = {
            credits.key_of(line): Decimal(step)
            for line in lines
            if step
            < line.quantity
            - sum(
                each.quantity
                for note in notes
                for each in lines_of(note)
                if each.account_id == line.account_id
            )
        }
        if not right:
            continue
        credit = credits.for_lines(bill, lines, notes, right)
        assert all(line.amount >= 0 for line in credit.lines)
        notes.append(a_note(bill, credit))
        credited += credit.total.gross.minor
    assert credited == bill.total_minor


@given(paid=st.integers(0, 1_000))
def test_an_amount_holds_the_tax_of_the_bill_in_proportion(paid: int) -> None:
    bill = a_bill([a_line(quantity="100")])
    gross = Money(int(bill.total_minor) - paid, "USD")
    credit = credits.for_amount(bill, [], gross)
    assert credit.total.net + credit.total.tax == credit.total.gross == gross
    assert abs(credit.total.tax.minor - credit.total.net.minor * Decimal("0.17")) <= 1
    if not paid:
        assert (credit.total.net.minor, credit.total.tax.minor) == (bill.net_minor, bill.tax_minor)


@pytest.mark.parametrize("quantity", ["10", "11"])
def test_a_quantity_that_does_not_go_down_is_refused(quantity: str) -> None:
    lines = [a_line()]
    with pytest.raises(Invalid) as refused:
        credits.for_lines(a_bill(lines), lines, [], {credits.key_of(lines[0]): Decimal(quantity)})
    assert refused.value.errors[0].field == "lines.0.quantity"


def test_what_was_credited_before_is_not_credited_again() -> None:
    lines = [a_line()]
    bill, key = a_bill(lines), credits.key_of(lines[0])
    first = credits.for_lines(bill, lines, [], {key: Decimal(4)})
    with pytest.raises(Invalid):
        credits.for_lines(bill, lines, [a_note(bill, first)], {key: Decimal(4)})
    rest = credits.for_lines(bill, lines, [a_note(bill, first)], {key: Decimal(0)})
    assert first.total.gross + rest.total.gross == Money(int(bill.total_minor), "USD")


def test_a_line_that_is_not_on_the_bill_is_refused() -> None:
    lines = [a_line()]
    with pytest.raises(Invalid) as refused:
        credits.for_lines(a_bill(lines), lines, [], {("acc_2", "box", "monthly"): Decimal(0)})
    assert refused.value.errors[0].field == "lines.0"


def test_nothing_is_no_credit() -> None:
    free = [a_line(unit_price=0)]
    with pytest.raises(credits.NothingToCredit):
        credits.for_lines(a_bill(free), free, [], {credits.key_of(free[0]): Decimal(0)})
    with pytest.raises(credits.NothingToCredit):
        credits.for_amount(a_bill([a_line()]), [], Money(0, "USD"))


def test_where_the_payer_accounts_for_the_tax_none_is_credited() -> None:
    lines = [a_line()]
    bill = a_bill(lines, Tax(Decimal("0.17"), "VAT", reverse_charge=True))
    credit = credits.for_lines(bill, lines, [], {credits.key_of(lines[0]): Decimal(0)})
    assert (credit.total.tax.minor, credit.total.gross.minor) == (0, bill.total_minor)


@given(
    quantities=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    steps=st.lists(st.tuples(st.booleans(), st.integers(1, 4_000)), max_size=6),
)
def test_all_credit_notes_together_never_give_back_more_tax_or_net_than_was_charged(
    quantities: list[int], steps: list[tuple[bool, int]]
) -> None:
    lines = [a_line(number, str(quantity)) for number, quantity in enumerate(quantities)]
    bill = a_bill(lines)
    notes: list[CreditNote] = []
    for by_line, size in [*steps, (False, 10**9)]:
        before = credits.credited_so_far(bill, notes)
        owed = int(bill.total_minor) - before.gross.minor
        if not owed:
            break
        if by_line:
            line = lines[size % len(lines)]
            taken = sum(
                each.quantity
                for note in notes
                for each in lines_of(note)
                if each.account_id == line.account_id
            )
            left = line.quantity - taken
            if left < 1:
                continue
            credit = credits.for_lines(bill, lines, notes, {credits.key_of(line): Decimal(int(left) // 2)})
            if credit.total.gross.minor > owed:
                continue
        else:
            credit = credits.for_amount(bill, notes, Money(min(size, owed), "USD"))
        assert credit.total.net.minor >= 0
        assert credit.total.tax.minor >= 0
        notes.append(a_note(bill, credit))
    after = credits.credited_so_far(bill, notes)
    assert after.gross.minor == bill.total_minor
    assert (after.net.minor, after.tax.minor) == (bill.net_minor, bill.tax_minor)


def test_three_equal_parts_hold_the_tax_of_the_whole() -> None:
    bill = a_bill([a_line(quantity="10", unit_price=1000, discount=Decimal(0), days=31)])
    notes: list[CreditNote] = []
    for _ in range(3):
        notes.append(a_note(bill, credits.for_amount(bill, notes, Money(3_900, "USD"))))
    assert [int(note.tax_minor) for note in notes] == [567, 566, 567]


def test_who_is_refused_is_told_what_stands_on_the_bill() -> None:
    lines = [a_line()]
    bill, key = a_bill(lines), credits.key_of(lines[0])
    first = credits.for_lines(bill, lines, [], {key: Decimal(4)})
    with pytest.raises(Invalid) as refused:
        credits.for_lines(bill, lines, [a_note(bill, first)], {key: Decimal(4)})
    assert refused.value.errors[0].message == "Must be less than 4, which is billed."
    with pytest.raises(Invalid) as unknown:
        credits.for_lines(bill, lines, [], {credits.key_of(a_line(2)): Decimal(4)})
    assert (unknown.value.errors[0].field, unknown.value.errors[0].message) == (
        "lines.0",
        "The bill has no such line.",
    )


def test_a_note_keeps_whose_lines_were_credited() -> None:
    lines = [a_line()]
    credit = credits.for_lines(a_bill(lines), lines, [], {credits.key_of(lines[0]): Decimal(4)})
    assert credits.stored(credit.lines)["roster"] == [
        {
            "account_id": "acc_1",
            "partner_id": "direct",
            "name": "Customer 1",
            "email": "customer1@example.com",
            "outcome": "credited",
        }
    ]


def test_the_last_of_two_credits_takes_the_tax_that_is_left_and_no_more() -> None:
    bill = a_bill([a_line(quantity="100")])
    first = credits.for_amount(bill, [], Money(1, "USD"))
    rest = Money(int(bill.total_minor) - 1, "USD")
    second = credits.for_amount(bill, [a_note(bill, first)], rest)
    assert first.total.tax.minor + second.total.tax.minor == bill.tax_minor
    assert first.total.net.minor + second.total.net.minor == bill.net_minor


def a_round_bill() -> tuple[Bill, list[Line]]:
    """100.00 and 17.00 of tax: ten at 10.00, all at a cent's precision."""
    lines = [a_line(unit_price=1000, discount=Decimal(0), days=31)]
    return a_bill(lines), lines


def test_the_tax_goes_down_by_what_it_is_less_on_the_net_that_is_left() -> None:
    bill, lines = a_round_bill()
    key, notes = credits.key_of(lines[0]), list[CreditNote]()
    sums = []
    for right in (4, 2, 0):
        credit = credits.for_lines(bill, lines, notes, {key: Decimal(right)})
        notes.append(a_note(bill, credit))
        sums.append((credit.total.net.minor, credit.total.tax.minor, credit.total.gross.minor))
    assert sums == [(6000, 1020, 7020), (2000, 340, 2340), (2000, 340, 2340)]


def test_so_little_that_the_tax_stays_the_same_holds_none() -> None:
    lines = [
        a_line(unit_price=1000, discount=Decimal(0), days=31),
        a_line(2, "1", unit_price=1, discount=Decimal(0), days=31),
    ]
    bill = a_bill(lines)
    assert (bill.net_minor, bill.tax_minor) == (10_001, 1700)

    by_line = credits.for_lines(bill, lines, [], {credits.key_of(lines[1]): Decimal(0)})
    by_amount = credits.for_amount(bill, [], Money(1, "USD"))

    for credit in (by_line, by_amount):
        assert (credit.total.net.minor, credit.total.tax.minor) == (1, 0)


def test_no_credit_holds_more_tax_than_is_left() -> None:
    """Also where it comes to more than is owed, which is refused afterwards."""
    bill, lines = a_round_bill()
    most = a_note(bill, credits.for_amount(bill, [], Money(10_530, "USD")))
    by_line = credits.for_lines(bill, lines, [most], {credits.key_of(lines[0]): Decimal(4)})
    assert (most.tax_minor, by_line.total.net.minor, by_line.total.tax.minor) == (1530, 6000, 170)

    third = a_note(bill, credits.for_amount(bill, [], Money(3_900, "USD")))
    again = credits.for_amount(bill, [third], Money(11_700, "USD"))
    assert (third.tax_minor, again.total.tax.minor) == (567, 1133)


def test_what_credit_notes_took_off_each_account_before_tax() -> None:
    lines = [a_line(), a_line(2), a_line(2, service="dropbox"), a_line(3)]
    bill = a_bill(lines)
    right = {credits.key_of(line): Decimal(4) for line in lines[:3]}
    notes = [a_note(bill, credits.for_lines(bill, lines, [], right))]
    notes.append(a_note(bill, credits.for_lines(bill, lines, notes, {credits.key_of(lines[0]): Decimal(0)})))
    notes.append(a_note(bill, credits.for_amount(bill, notes, Money(5, "USD"))))

    six = lines[1].amount - amount_for(lines[1], Decimal(4))
    assert credits.net_by_account(notes) == {"acc_1": lines[0].amount, "acc_2": 2 * six}
    assert credits.net_by_account([]) == {}
