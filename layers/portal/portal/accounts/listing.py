"""Searching, filtering and sorting lists of accounts, the same way in every list and report."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, Field

from portal.accounts.rules import AccountStatus, BackupStatus, account_status
from portal.billing.standing import Status
from portal.errors import FieldError, Invalid
from portal.paging import PageQuery, SortKey

if TYPE_CHECKING:
    from portal.accounts.records import Account
    from portal.billing.standing import Standing

_WORD = re.compile(r"[^\W_]+")
_ORDER: dict[str, int] = {
    value: place
    for values in (AccountStatus, BackupStatus, Status)
    for place, value in enumerate(get_args(values))
}


def folded(text: str) -> str:
    """Text as it is compared and sorted: without case and accents."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter)).casefold()


def matches_search(query: str, *texts: str) -> bool:
    """Whether every word of the query begins a word of the texts. What holds no word at all finds nothing,
    or, blank, all.
    """
    if not query.strip():
        return True
    wanted = _WORD.findall(folded(query))
    words = [word for text in texts for word in _WORD.findall(folded(text))]
    return bool(wanted) and all(any(word.startswith(each) for word in words) for each in wanted)


def one_or_several(given: Any) -> Any:
    """A query parameter that may be repeated, as a list."""
    return given if isinstance(given, list) else [given]


Search = Annotated[
    str, Field(max_length=200, description="Every word prefix of name or e-mail, ignoring case and accents.")
]


class AccountFilters(BaseModel, extra="forbid"):
    """Which accounts; several values of a filter mean any of them, several filters all of them."""

    search: Search | None = None
    account_status: Annotated[list[AccountStatus], BeforeValidator(one_or_several)] | None = None
    backup_status: Annotated[list[BackupStatus], BeforeValidator(one_or_several)] | None = None
    billing_status: Annotated[list[Status], BeforeValidator(one_or_several)] | None = None


class AccountsQuery(AccountFilters, PageQuery):
    """A page of a list of accounts. A minus sign before the sort field sorts descending."""

    sort: Literal[
        "name", "-name", "email", "-email", "size", "-size", "created", "-created",
        "account_status", "-account_status", "backup_status", "-backup_status",
        "billing_status", "-billing_status",
    ] = "name"  # fmt: skip

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")


@dataclass(frozen=True, slots=True)
class Listed:
    """An account with what is not stored on it: its status now and, for those who see money, its bills."""

    account: "Account"
    status: AccountStatus
    standing: "Standing | None"


def check_money(filters: AccountFilters, sees_money: bool) -> None:
    """Refuse to filter or sort by what the caller may not see.

    Raises:
        Invalid: the billing status does not exist for this caller.
    """
    asked = {"billing_status": filters.billing_status is not None}
    if isinstance(filters, AccountsQuery):
        asked["sort"] = filters.sort.endswith("billing_status")
    wrong = tuple(
        FieldError(name, "There is no billing status here.") for name, given in asked.items() if given
    )
    if wrong and not sees_money:
        raise Invalid(errors=wrong)


def chosen(
    accounts: Iterable["Account"],
    filters: AccountFilters,
    now: datetime,
    standings: "Mapping[str, Standing] | None" = None,
) -> list[Listed]:
    """Those of the accounts that the filters choose. `standings` by account id, for callers who see money."""
    return [
        listed
        for account in accounts
        if _admits(
            filters,
            listed := Listed(
                account, account_status(account, now), (standings or {}).get(account.account_id)
            ),
        )
    ]


def _admits(filters: AccountFilters, listed: Listed) -> bool:
    account = listed.account
    return (
        (filters.account_status is None or listed.status in filters.account_status)
        and (filters.backup_status is None or account.backup_status in filters.backup_status)
        and (
            filters.billing_status is None
            or (listed.standing is not None and listed.standing.status in filters.billing_status)
        )
        and (filters.search is None or matches_search(filters.search, account.name, account.email))
    )


def sort_key(sort: str) -> Callable[[Listed], SortKey]:
    """What a list is sorted by: the field, then name and id; statuses in the order of their table."""
    field = sort.removeprefix("-")

    def key(listed: Listed) -> SortKey:
        account = listed.account
        by_name = (folded(account.name), account.account_id)
        match field:
            case "email":
                return (folded(account.email), *by_name)
            case "size":
                return (int(account.size_bytes), *by_name)
            case "created":
                return (account.created_at.timestamp() if account.created_at else 0.0, *by_name)
            case "account_status":
                return (_ORDER[listed.status], *by_name)
            case "backup_status":
                return (_ORDER[account.backup_status], *by_name)
            case "billing_status":
                return (_ORDER[listed.standing.status] if listed.standing else -1, *by_name)
        return by_name

    return key
