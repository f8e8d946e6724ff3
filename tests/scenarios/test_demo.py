"""The demo, ended on the day of the guides' screenshots, shows what they show."""

from collections.abc import Iterator
from datetime import date
from itertools import islice

import pytest

from local.demo import DISTRIBUTOR_EMAIL, LAST_DAY, NEW_PRICES_ON, PAID_FROM, PASSWORD, PAYMENT_DAY_FROM, Demo
from portal import clock, ids
from portal.periods import periods_from
from portal.scope import Caller
from tests.support import Harness
from tests.support.swift import Swift
from tests.world import World

# One worker plays it for all of these.
pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture(scope="module")
def played() -> Iterator[World]:
    """The world at the demo's end. Played once: the tests below only look."""
    with Harness(seed=0) as harness, clock.override(harness.clock), ids.override(harness.ids):
        with Swift.on(harness), World.made(harness.clock) as world:
            Demo(world, date(2023, 2, 10)).play()
            yield world
        harness.verify()


@pytest.fixture(scope="module")
def distributor(played: World) -> Caller:
    return _signed_in(played, DISTRIBUTOR_EMAIL)


def _signed_in(world: World, email: str) -> Caller:
    tokens = world.call("identity.sign_in", body={"email": email, "password": PASSWORD}).json
    return world.identify(tokens["access_token"])


def test_the_billing_status_table(played: World, distributor: Caller) -> None:
    rows = played.call("billing.list_billing_status", distributor, query={"limit": "100"}).json["items"]

    shown = {
        row["account_name"]: (
            row["billing_status"],
            row["subscription"],
            row["renewal_date"],
            row["amount_due"]["amount"] if row["amount_due"] else None,
            row["next_payment_forecast"]["amount"],
        )
        for row in rows
    }
    annual_amounts = {name: shown[name][3] for name in ("Agata Brown", "Rumple Stiltkin")}
    assert {name: row for name, row in shown.items() if name not in annual_amounts} == {
        "Alex Douglas": ("current", "monthly", "2023-02-24", None, "176.40"),
        "Bob Smith": ("none", "monthly", "2023-02-23", None, "0.00"),
        "Charles Wilson": ("none", "monthly", "2023-02-23", None, "0.00"),
        "Moby Dick": ("overdue", "monthly", "2023-02-23", "112.32", "7.20"),
        "Madame Bovary": ("overdue", "monthly", "2023-02-23", "28.08", "1.80"),
        "Charlie Brown": ("none", "annual", "2023-02-12", None, "0.00"),
    }
    agata, rumple = shown["Agata Brown"], shown["Rumple Stiltkin"]
    assert (agata[:3], agata[4]) == (("overdue", "annual", "2023-08-17"), "1326.00")
    assert (rumple[:3], rumple[4]) == (("overdue", "annual", "2023-07-14"), "516.30")
    # The guide shows 6370.00 and 3098.88, which no price list gives to the cent together with the forecasts.
    assert annual_amounts == {"Agata Brown": "6114.42", "Rumple Stiltkin": "3032.99"}


def test_twelve_months_at_two_dollars_stay_unpaid_and_the_rest_is_paid(
    played: World, distributor: Caller
) -> None:
    bills = played.call(
        "billing.list_billing_history", distributor, query={"kind": "monthly", "limit": "100"}
    ).json["items"]

    assert [bill["state"] for bill in bills] == ["paid"] * 12 + ["overdue"] * 12
    assert {bill["amount"]["amount"] for bill in bills[12:]} == {"11.70"}
    assert bills[0]["issue_date"] == "2023-01-24"


def test_the_distributors_dashboard(played: World, distributor: Caller) -> None:
    rows = played.call("partners.list_partners", distributor).json["items"]

    shown = [
        (
            row["name"],
            row["email"],
            row["partner_id"],
            _size(row["size_bytes"]),
            row["task_status"],
            row["billing_status"],
        )
        for row in rows
    ]
    assert shown[0] == ("Direct Accounts", None, None, "1.77 TB", "failures", "with_exceptions")
    assert shown[1][:2] == ("Alex Douglas", "alex.douglas@example.com")
    assert shown[1][3:] == ("0 Bytes", "no_accounts_yet", "successful")
    assert shown[2] == (
        "Jacob Anderson", "jacob.anderson@example.com", "DDEVR002", "112.01 GB", "failures", "with_exceptions",
    )  # fmt: skip


def test_a_partners_dashboard(played: World) -> None:
    partner = _signed_in(played, "admin@coastal.example.com")

    dashboard = played.call("dashboard.get_dashboard", partner).json
    rows = played.call("accounts.list_accounts", partner, query={"limit": "100"}).json["items"]

    assert dashboard["trial"] == {"in_progress": 0, "expiring": 0, "expired": 0}
    assert dashboard["backup"] == {"no_backup": 49, "successful": 6, "partially_failed": 0, "failed": 0}
    assert dashboard["total_accounts"] == len(rows) == 55
    assert not any("amount" in row or "billing_status" in row for row in rows)
    shown = {
        row["name"]: (row["account_status"], row["backup_status"], _size(row["size_bytes"])) for row in rows
    }
    assert shown["Bob Smith"] == ("annual_subscribed", "successful", "73.31 GB")
    assert shown["Alex Douglas"] == ("monthly_subscribed", "successful", "15.57 GB")
    assert shown["Charles Wilson"] == ("monthly_subscribed", "no_backups", "0 Bytes")


def test_the_forecast_of_the_whole_distributor(played: World, distributor: Caller) -> None:
    forecast = played.call("billing.get_forecast", distributor).json

    assert forecast["net"]["amount"] == "185.40"
    assert forecast["tax"]["amount"] == "31.52"
    assert forecast["total"]["amount"] == "216.92"


def test_it_may_end_on_any_day() -> None:
    """Whatever the months' lengths on the way, the twelve unpaid periods and the prices in them stay the same."""
    for ordinal in range(date(2023, 2, 10).toordinal(), date(2032, 12, 31).toordinal()):
        moved = date.fromordinal(ordinal) - LAST_DAY
        first = PAYMENT_DAY_FROM + moved
        at_old_prices = [
            period
            for period in islice(periods_from(first.day, first), 24)
            if period.start < NEW_PRICES_ON + moved and period.start >= first
        ]
        assert len(at_old_prices) == 12, moved
        assert all(period.end < PAID_FROM + moved for period in at_old_prices), moved


def _size(size: int) -> str:
    """A size as the guides print it: binary units, two decimals."""
    for unit, factor in (("TB", 1024**4), ("GB", 1024**3)):
        if size >= factor:
            return f"{size / factor:.2f} {unit}"
    return f"{size} Bytes"
