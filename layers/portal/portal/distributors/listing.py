"""The list of distributors that operators see."""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BeforeValidator

from portal.accounts.listing import Search, folded, matches_search, one_or_several
from portal.distributors.records import Distributor
from portal.distributors.views import Business
from portal.paging import PageQuery, SortKey


class DistributorsQuery(PageQuery):
    """A page of the list of distributors. A minus sign before the sort field sorts descending."""

    search: Search | None = None
    business: Annotated[list[Business], BeforeValidator(one_or_several)] | None = None
    sort: Literal["name", "-name", "email", "-email", "created", "-created"] = "name"

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")


def admits(query: DistributorsQuery, distributor: Distributor) -> bool:
    """Whether the filters choose a distributor."""
    return (query.search is None or matches_search(query.search, distributor.name, distributor.email)) and (
        query.business is None or distributor.business in query.business
    )


def sort_key(query: DistributorsQuery) -> Callable[[Distributor], SortKey]:
    def key(distributor: Distributor) -> SortKey:
        by_name = (folded(distributor.name), distributor.distributor_id)
        match query.sort.lstrip("-"):
            case "email":
                return (folded(distributor.email), *by_name)
            case "created":
                return (distributor.created_at.timestamp(), *by_name)
        return by_name

    return key
