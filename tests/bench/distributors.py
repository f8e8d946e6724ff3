"""Distributors of any size as a month leaves them, straight into a lean table."""

import marshal
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from portal import keys
from portal.change import Change
from portal.table import Item as Record
from portal.table import Put, stage
from portal.tree import Node
from tests import books
from tests.bench.lean import Item, LeanTable
from tests.trees import partner_records

NORTH = Node("dst_north")
PAYMENT_DATE = date(2023, 1, 24)
_SUBSCRIBED_ON = date(2022, 6, 1)
_PARTNERS = 50
_LONG_AGO = {"first_billed_on": date(2022, 7, 1)}


def month_of(number: int) -> int:
    """What the account of that number is billed, in cents: nothing to a trial and an annual one that has not grown, ten
    to a large one and one to all others."""
    return {0: 12 * 180 + 5 * 123, 4: 0, 7: 0}.get(number % 10, 180)


def fill(table: LeanTable, size: int) -> None:
    """A distributor with so many accounts: of ten, one is large, with two services whose counts move every day, one is on
    trial, one pays by the year, and the others have a mailbox. They belong to 50 partners, in turn."""
    table.fill(_stored(record) for record in books.payer_records(PAYMENT_DATE - timedelta(days=14)))
    names = [f"prt_{number:02d}" for number in range(_PARTNERS)]
    table.fill(
        _stored(record)
        for name in names
        for record in partner_records(NORTH.child(name), name, books.midnight(_SUBSCRIBED_ON))
    )
    patterns = {kind: _pattern(kind) for kind in range(10)}
    table.fill(item for number in range(size) for item in _account(patterns[number % 10], number))


def _pattern(kind: int) -> bytes:
    """The items of an account of one of the ten kinds, in which its number can be replaced by one as long."""
    days = [PAYMENT_DATE - timedelta(days=day) for day in range(90, 0, -1)]
    moving = {
        books.EXCHANGE: [(day, 10 + 2 * (day.day % 2)) for day in days],
        books.SALESFORCE: [(day, 3 + 2 * (day.day % 2)) for day in days],
    }
    given: dict[int, dict[str, Any]] = {
        0: {"counts": moving},
        4: {"plan": None},
        7: {"plan": "annual", "subscribed_on": _SUBSCRIBED_ON},
    }
    records = books.an_account(
        NORTH,
        999_999,
        partner="prt_88",
        **{"subscribed_on": _SUBSCRIBED_ON, **_LONG_AGO, **given.get(kind, {})},
    )
    for record in records:
        if record.sk == keys.RENEWAL:
            invoiced = Change(
                term_start_on=_SUBSCRIBED_ON,
                due_at=books.midnight(_SUBSCRIBED_ON.replace(year=2023)),
                invoiced={books.EXCHANGE: "1"},
                true_ups={},
            )
            for name, value in invoiced.items():
                setattr(record, name, value)
    return marshal.dumps([_stored(record) for record in records])


def _account(pattern: bytes, number: int) -> Iterator[Item]:
    own = pattern.replace(b"999999", b"%06d" % number).replace(b"prt_88", b"prt_%02d" % (number % _PARTNERS))
    yield from marshal.loads(own)


def _stored(record: Record) -> Item:
    stage(Put(record))
    record.version = 1
    return dict(record.serialize())
