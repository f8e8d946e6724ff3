"""The billing status list: every account of a distributor, filtered and sorted by what its bills say."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator

from portal.accounts import listing
from portal.accounts.listing import AccountFilters, Listed, folded
from portal.billing.views import Subscription, subscription
from portal.paging import PageQuery, SortKey
from portal.subscriptions.spans import renewal_on

_SUBSCRIPTIONS: dict[Subscription, int] = {"trial": 0, "monthly": 1, "annual": 2}


class StatusQuery(AccountFilters, PageQuery):
    """A page of the billing status. A minus sign before the sort field sorts descending."""

    subscription: Annotated[list[Subscription], BeforeValidator(listing.one_or_several)] | None = None
    sort: Literal[
        "name", "-name", "email", "-email", "billing_status", "-billing_status", "amount_due", "-amount_due",
        "subscription", "-subscription", "renewal_date", "-renewal_date",
        "account_status", "-account_status", "backup_status", "-backup_status",
    ] = "name"  # fmt: skip

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")


def admits(query: StatusQuery, listed: Listed, now: datetime) -> bool:
    """Whether an account that the filters all lists share have chosen is in this one too."""
    return query.subscription is None or subscription(listed.account, now) in query.subscription


def sort_key(sort: str, now: datetime) -> Callable[[Listed], SortKey]:
    """What the list is sorted by: the field, then the name, then the id; what has no date comes last."""
    shared = listing.sort_key(sort)

    def key(listed: Listed) -> SortKey:
        by_name = (folded(listed.account.name), listed.account.account_id)
        match sort.removeprefix("-"):
            case "subscription":
                return (_SUBSCRIPTIONS[subscription(listed.account, now)], *by_name)
            case "renewal_date":
                return ((renewal_on(listed.account, now) or date.max).isoformat(), *by_name)
            case "amount_due":
                return (listed.standing.owed.minor if listed.standing else 0, *by_name)
        return shared(listed)

    return key
