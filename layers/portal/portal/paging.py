"""Lists: pages of 1 to 100 rows, opaque cursors bound to caller and query.

A cursor says behind which row to read on and carries a MAC over that, the caller and the query: an altered one, or one
from another list, is refused.
"""

import base64
import hashlib
import hmac
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Generic, TypeVar

import orjson
from pydantic import BaseModel, Field

from portal.adapters import secrets
from portal.errors import FieldError, Invalid

_Row = TypeVar("_Row")
_View = TypeVar("_View", bound=BaseModel)

SortKey = tuple[str | int | float, ...]

_SORTED_BY = 200
"""Characters of each text that count."""


class PageQuery(BaseModel, extra="forbid"):
    """The query parameters that every list takes; a list adds its filters."""

    limit: Annotated[int, Field(ge=1, le=100)] = 25
    cursor: Annotated[str, Field(max_length=4000)] | None = None


class Page(BaseModel, Generic[_View]):
    """One page of a list. `total` counts the whole list under the same filters."""

    items: list[_View]
    next_cursor: str | None
    total: int


class LongPage(BaseModel, Generic[_View]):
    """One page of a list that is too long to be counted.

    It may be shorter than asked for, even empty, and have another behind it: `next_cursor` alone tells. `total` is how
    many rows there are where this page holds them all, else null.
    """

    items: list[_View]
    next_cursor: str | None
    total: int | None


class InvalidCursor(Invalid):
    detail = "This cursor does not belong to this list; start again without one."


def page(
    rows: Iterable[_Row],
    query: PageQuery,
    *,
    bound_to: str,
    key: Callable[[_Row], SortKey],
    show: Callable[[_Row], _View],
    descending: bool = False,
) -> Page[_View]:
    """The page that `query` asks for, of rows that filters have already chosen.

    Args:
        bound_to: who asks which list; becomes part of the cursor's seal together with the query's filters.
        key: what the list is sorted by, ending with something unique. Its parts have the same types in all rows.
    """

    def place(row: _Row) -> SortKey:
        # What sorts is cut so that it fits into a cursor; the unique part at the end tells the rest apart.
        return tuple(part[:_SORTED_BY] if isinstance(part, str) else part for part in key(row))

    ordered = sorted(rows, key=place, reverse=descending)
    seal_for = _seal_for(bound_to, query)
    first = 0
    if query.cursor:
        last = tuple(_open(query.cursor, seal_for))
        first = _behind([place(row) for row in ordered], last, descending)
    shown = ordered[first : first + query.limit]
    more = first + query.limit < len(ordered)
    return Page(
        items=[show(row) for row in shown],
        next_cursor=_seal(place(shown[-1]), seal_for) if more else None,
        total=len(ordered),
    )


def page_through(
    read: Callable[[str, int], Iterable[_Row]],
    query: PageQuery,
    *,
    bound_to: str,
    key: Callable[[_Row], str],
    show: Callable[[_Row], _View],
    total: int,
) -> Page[_View]:
    """The page that `query` asks for of a list that is too long to be loaded: only its rows are read.

    Args:
        read: the rows behind a sort key (from the start, where it is empty), in the list's order, as many as said.
        bound_to: as in `page`.
        key: a row's sort key.
        total: how many rows the list has, from a counter.
    """
    seal_for = _seal_for(bound_to, query)
    behind = str(_open(query.cursor, seal_for)[0]) if query.cursor else ""
    rows = list(read(behind, query.limit + 1))
    shown = rows[: query.limit]
    return Page(
        items=[show(row) for row in shown],
        next_cursor=_seal((key(shown[-1]),), seal_for) if len(rows) > query.limit else None,
        total=total,
    )


def long_page(
    read: Callable[[str], Iterable[tuple[str, _Row | None]]],
    query: PageQuery,
    *,
    bound_to: str,
    show: Callable[[_Row], _View],
    most_examined: int,
) -> LongPage[_View]:
    """The page that `query` asks for of a list whose filters pass over rows that have to be read.

    Args:
        read: what lies behind a place (from the start, where it is empty), in the list's order: the place of each row,
            and the row, or None if it is passed over.
        bound_to: as in `page`.
        most_examined: how many rows to read before the page is answered as it is by then.
    """
    seal_for = _seal_for(bound_to, query)
    behind = str(_open(query.cursor, seal_for)[0]) if query.cursor else ""
    shown: list[_View] = []
    for examined, (place, row) in enumerate(read(behind)):
        if examined == most_examined or (row is not None and len(shown) == query.limit):
            return LongPage(items=shown, next_cursor=_seal((behind,), seal_for), total=None)
        behind = place
        if row is not None:
            shown.append(show(row))
    return LongPage(items=shown, next_cursor=None, total=None if query.cursor else len(shown))


def _seal_for(bound_to: str, query: PageQuery) -> str:
    filters = query.model_dump(mode="json", exclude={"limit", "cursor"})
    return f"{bound_to} {orjson.dumps(filters, option=orjson.OPT_SORT_KEYS).decode()}"


def _behind(ordered: list[SortKey], last: SortKey, descending: bool) -> int:
    if not descending:
        return bisect_right(ordered, last)
    return next((place for place, key in enumerate(ordered) if key < last), len(ordered))


def _seal(last: SortKey, seal_for: str) -> str:
    payload = orjson.dumps(last)
    return base64.urlsafe_b64encode(_mac(payload, seal_for) + payload).decode().rstrip("=")


def _open(cursor: str, seal_for: str) -> list[Any]:
    try:
        sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise InvalidCursor(errors=(FieldError("cursor", InvalidCursor.detail),)) from None
    mac, payload = sealed[:32], sealed[32:]
    if not hmac.compare_digest(mac, _mac(payload, seal_for)):
        raise InvalidCursor(errors=(FieldError("cursor", InvalidCursor.detail),))
    opened: list[Any] = orjson.loads(payload)
    return opened


def _mac(payload: bytes, seal_for: str) -> bytes:
    return hmac.digest(secrets.cursor_key(), seal_for.encode() + b"\x00" + payload, hashlib.sha256)
