from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from portal.access import access_parts
from portal.billing import outlook, views
from portal.billing.rating import Line, Total
from portal.money import Money
from portal.periods import Period
from portal.permissions import HELD_ON
from portal.scope import Caller
from portal.tree import Node, Tier
from tests import books
from tests.world import OPERATOR, World, administrator


def forecast(world: World, distributor: Node, as_: Caller | None = None) -> Any:
    answer = world.call("billing.get_forecast", as_ or administrator(distributor))
    assert answer.status == 200, answer.text
    return answer.json


def amounts(shown: dict[str, Any]) -> tuple[str, ...]:
    return tuple(shown[name]["amount"] for name in ("net", "tax", "total", "low", "high"))


def test_flat_usage_forecasts_the_very_bill_that_is_then_issued(world: World) -> None:
    distributor = books.a_payer(date(2022, 12, 24))
    books.store(books.an_account(distributor, 1, counts=98))
    books.store(books.an_account(distributor, 2, counts=3, subscribed_on=date(2023, 1, 5)))
    shown = forecast(world, distributor)
    assert (shown["period_start"], shown["period_end"], shown["method"]) == (
        "2022-12-24",
        "2023-01-24",
        "trend",
    )
    # 176.40, and 3.31: 5.40 for 19 of 31 days
    assert amounts(shown) == ("179.71", "30.55", "210.26", "210.26", "210.26")
    assert (shown["tax_name"], shown["lines_per"], shown["accounts_without_price"]) == ("VAT", "account", [])
    world.now = datetime(2023, 1, 24, 3, tzinfo=UTC)
    books.run_month(world)
    (bill,) = books.bills(distributor)
    assert (bill.net_minor, bill.tax_minor, bill.total_minor) == (17971, 3055, 21026)
    assert [(line["account_id"], line["amount"]["minor"]) for line in shown["lines"]] == [
        (line.account_id, line.amount) for line in books.lines(bill)
    ]


def test_annual_accounts_are_in_it_when_they_renew_in_the_period_or_have_grown(world: World) -> None:
    distributor = books.a_payer(date(2022, 1, 20))
    annual = {"plan": "annual"}
    books.store(books.an_account(distributor, 1, counts=10, subscribed_on=date(2022, 1, 20), **annual))
    books.store(books.an_account(distributor, 2, counts=10, subscribed_on=date(2022, 3, 1), **annual))
    grown = {books.EXCHANGE: [(date(2022, 1, 1), 10), (date(2023, 1, 8), 12)]}
    books.store(books.an_account(distributor, 3, counts=grown, subscribed_on=date(2022, 6, 1), **annual))
    for on in (date(2022, 1, 20), date(2022, 3, 1), date(2022, 6, 1)):
        world.now = books.midnight(on)
        books.run_year(world)
    world.now = datetime(2023, 1, 10, 12, tzinfo=UTC)
    lines = forecast(world, distributor)["lines"]
    # Renewed on 20 January; two more seats from 24 January until 1 June, 128 days of 365.
    assert [(line["account_id"], line["kind"], line["amount"]["amount"]) for line in lines] == [
        ("acc_000001", "annual", "180.00"),
        ("acc_000003", "true_up", "12.62"),
    ]


def test_an_account_without_a_price_is_named_and_left_out(world: World) -> None:
    distributor = books.a_payer(date(2022, 12, 24))
    books.store(books.an_account(distributor, 1, counts=1))
    books.store(books.an_account(distributor, 2, counts={books.DROPBOX: [(date(2023, 1, 1), 1)]}))
    shown = forecast(world, distributor)
    assert (shown["net"]["amount"], shown["accounts_without_price"]) == ("1.80", ["acc_000002"])


def test_what_a_removed_account_has_used_is_in_it(world: World) -> None:
    distributor = books.a_payer(date(2022, 12, 24))
    ended = {"state": "removed", "ended_on": date(2023, 1, 3)}
    books.store(books.an_account(distributor, counts=31, **ended))
    assert forecast(world, distributor)["net"]["amount"] == "18.00"


def test_usage_that_moves_has_a_range_around_its_trend(world: World) -> None:
    distributor = books.a_payer(date(2022, 11, 1))
    days = [(date(2022, 11 + day // 30, day % 30 + 1), 100 + day + 7 * (day % 2)) for day in range(60)]
    books.store(books.an_account(distributor, counts={books.EXCHANGE: days}))
    shown = forecast(world, distributor)
    low, total, high = (shown[name]["minor"] for name in ("low", "total", "high"))
    assert low < total < high


def test_without_accounts_nothing_is_expected(world: World) -> None:
    distributor = books.a_payer(date(2022, 12, 24), prices=None)
    assert amounts(forecast(world, distributor)) == ("0.00",) * 5


def test_it_is_of_the_accounts_the_user_may_access_and_for_distributors_only(world: World) -> None:
    distributor = books.a_payer(date(2022, 12, 24))
    for number in (1, 2):
        books.store(books.an_account(distributor, number, counts=number))
    books.store(access_parts(distributor, "usr_limited", ["acc_000002"]))
    limited = Caller(
        kind="user",
        user_id="usr_limited",
        home=distributor,
        portal=distributor,
        permissions=HELD_ON[Tier.DISTRIBUTOR],
        limited=True,
    )
    assert forecast(world, distributor, limited)["net"]["amount"] == "3.60"
    for caller in (
        OPERATOR,
        administrator(distributor.child("prt_1")),
        administrator(books.node_of(distributor)),
    ):
        assert world.call("billing.get_forecast", caller).code == "not_permitted"


def test_a_bill_with_more_lines_than_an_answer_holds_has_one_for_each_partner(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_MOST_LINES", 2)
    distributor = books.a_payer(date(2022, 12, 24))
    for number in (1, 2, 3):
        books.store(books.an_account(distributor, number, counts=number))
    shown = forecast(world, distributor)
    assert shown["lines_per"] == "partner"
    (line,) = shown["lines"]
    assert (line["partner_id"], line["account_id"], line["quantity"]) == ("direct", None, "6")
    assert line["amount"]["amount"] == shown["net"]["amount"] == "10.80"


def test_a_bill_of_more_partners_than_an_answer_holds_has_one_line_for_each_service(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_MOST_LINES", 2)
    distributor = books.a_payer(date(2022, 12, 24))
    for number in (1, 2, 3):
        books.store(books.an_account(distributor, number, counts=number, partner=f"prt_{number}"))
    shown = forecast(world, distributor)
    assert shown["lines_per"] == "service"
    (line,) = shown["lines"]
    assert (line["partner_id"], line["service"], line["quantity"]) == (None, books.EXCHANGE, "6")


@pytest.mark.parametrize("partners", [1, 2_000, 20_000])
@pytest.mark.parametrize("accounts", [2_000, 20_000])
def test_the_largest_answer_is_below_four_megabytes(accounts: int, partners: int) -> None:
    lines = tuple(
        Line(
            account_id=f"acc_{number:026d}",
            partner_id=f"prt_{number % partners:026d}",
            account_name="\U0001f4e7" * 200,
            account_email="office@example.com",
            service=service,
            kind="true_up",
            quantity=Decimal("123456.7891"),
            unit_price=123_456,
            discount=Decimal("0.3333"),
            days=365,
            of_days=366,
            amount=123_456_789_012,
        )
        for number in range(accounts // 2)
        for service in (books.EXCHANGE, books.SALESFORCE)
    )
    money = Money(123_456_789_012, "USD")
    whole = outlook.NextBill(
        Period(date(2023, 1, 1), date(2023, 2, 1)),
        "trend",
        lines,
        Total(money, money, money),
        money,
        money,
        (),
        datetime(2023, 1, 10, tzinfo=UTC),
    )
    shown = views.bill_forecast(whole, "VAT")
    assert len(shown.lines) <= 2_000
    assert len(shown.model_dump_json().encode()) < 4_000_000
