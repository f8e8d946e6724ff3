from datetime import UTC, date, datetime
from typing import Any

from portal.billing.outlook import Outlook, account_outlook
from portal.billing.prices import PriceTerms, price_book
from portal.tree import Node
from tests import books

NOW = datetime(2023, 2, 10, 12, tzinfo=UTC)
NORTH = Node("dst_north")
BOOK = price_book(PriceTerms.model_validate(books.PRICES), date(2022, 1, 1))
TRIAL = {"plan": None, "trial_ends_at": datetime(2023, 2, 20, 12, tzinfo=UTC)}


def outlook(*, versions: Any = (BOOK,), becomes: str | None = None, **values: Any) -> Outlook | None:
    account, _, _, usage, *_ = books.an_account(NORTH, **values)
    if becomes:
        account.subscription_default = {"mode": "trial_with_auto_subscription", "plan": becomes}
    return account_outlook(account, usage, versions, 24, NOW)


def shown(found: Outlook | None) -> tuple[str, str, date]:
    assert found is not None
    return found.forecast.amount.amount, found.forecast.method, found.billed_on


def test_a_monthly_account_pays_for_the_running_period_at_its_end() -> None:
    assert shown(outlook(counts=98)) == ("176.40", "trend", date(2023, 2, 24))


def test_without_entities_nothing_is_expected() -> None:
    assert shown(outlook(counts={})) == ("0.00", "last_count", date(2023, 2, 24))


def test_an_annual_account_renews_at_its_present_count() -> None:
    found = outlook(counts=10, plan="annual", subscribed_on=date(2022, 8, 17))
    assert shown(found) == ("180.00", "renewal", date(2023, 8, 17))


def test_a_renewal_is_rated_at_the_prices_of_its_first_day() -> None:
    dearer = {**books.PRICES, "discount": "0"}
    later = price_book(PriceTerms.model_validate(dearer), date(2023, 8, 17))
    found = outlook(counts=10, plan="annual", subscribed_on=date(2022, 8, 17), versions=(BOOK, later))
    assert shown(found)[0] == "300.00"


def test_a_trial_that_subscribes_itself_pays_from_its_end_on() -> None:
    assert shown(outlook(counts=31, becomes="monthly", **TRIAL)) == ("7.20", "trend", date(2023, 2, 24))
    assert shown(outlook(counts=10, becomes="annual", **TRIAL)) == ("180.00", "renewal", date(2023, 2, 20))


def test_a_trial_that_expires_pays_nothing() -> None:
    assert shown(outlook(counts=31, **TRIAL))[0] == "0.00"


def test_an_account_that_is_being_removed_pays_until_its_end_and_renews_no_more() -> None:
    ended = {"state": "removal_pending", "ended_on": date(2023, 2, 3)}
    assert shown(outlook(counts=31, **ended))[0] == "18.00"
    assert shown(outlook(counts=31, plan="annual", subscribed_on=date(2022, 8, 17), **ended))[0] == "0.00"


def test_where_no_price_is_known_nothing_is_said() -> None:
    unpriced = {books.DROPBOX: [(date(2023, 1, 1), 1)]}
    assert outlook(counts=unpriced) is None
    assert outlook(versions=()) is None
