"""The list of a portal's users."""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BeforeValidator

from portal.accounts.listing import Search, folded, matches_search, one_or_several
from portal.identity.records import User
from portal.identity.user_views import Role, State
from portal.paging import PageQuery, SortKey


class UsersQuery(PageQuery):
    """A page of the list of users. A minus sign before the sort field sorts descending."""

    search: Search | None = None
    role: Annotated[list[Role], BeforeValidator(one_or_several)] | None = None
    state: Annotated[list[State], BeforeValidator(one_or_several)] | None = None
    sort: Literal[
        "name", "-name", "email", "-email", "role", "-role", "state", "-state", "created", "-created",
    ] = "name"  # fmt: skip

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")


def admits(query: UsersQuery, user: User) -> bool:
    """Whether the filters choose a user."""
    return (
        (query.search is None or matches_search(query.search, user.name, user.email))
        and (query.role is None or user.role in query.role)
        and (query.state is None or user.state in query.state)
    )


def sort_key(query: UsersQuery) -> Callable[[User], SortKey]:
    """By the field, then the name and the id."""

    def key(user: User) -> SortKey:
        by_name = (folded(user.name), user.user_id)
        match query.sort.lstrip("-"):
            case "email":
                return (folded(user.email), *by_name)
            case "role" | "state" as field:
                return (str(getattr(user, field)), *by_name)
            case "created":
                return (user.created_at.timestamp(), *by_name)
        return by_name

    return key
