import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.billing.statements import check_is_on, statements
from portal.errors import NotFound
from tests.portal.billing.bill_samples import a_bill


def test_direct_accounts_come_first_then_partners_by_name() -> None:
    made = statements(a_bill(["A", "B", "C", "D"], ("prt_1", "direct")))
    assert [(each.partner_id, each.name, each.code, each.accounts) for each in made] == [
        ("direct", "Direct accounts", "", 2),
        ("prt_1", "Jacob Anderson", "DDEVR002", 2),
    ]


@given(
    accounts=st.integers(1, 60),
    partners=st.sampled_from([("direct",), ("prt_1",), ("direct", "prt_1", "prt_2")]),
)
def test_they_sum_to_the_bill_exactly(accounts: int, partners: tuple[str, ...]) -> None:
    bill = a_bill([f"Customer {number}" for number in range(accounts)], partners)
    made = statements(bill)
    sums = [sum(getattr(each, name).minor for each in made) for name in ("net", "tax", "gross")]
    assert sums == [bill.total.net.minor, bill.total.tax.minor, bill.total.gross.minor]
    assert sum(each.accounts for each in made) == accounts
    assert all(each.net.minor + each.tax.minor == each.gross.minor for each in made)


def test_a_partner_without_a_line_is_not_on_the_bill() -> None:
    bill = a_bill(["A"], ("direct",))
    check_is_on(bill, "direct")
    with pytest.raises(NotFound):
        check_is_on(bill, "prt_1")
