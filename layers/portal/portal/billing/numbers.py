"""Gapless numbers of documents.

A number is taken in the transaction that gives it out, so a number that was given out is on a document.
"""

from portal import keys
from portal.billing.records import Overtaken, Sequence, find_sequence
from portal.change import Change
from portal.table import Put, Update, Write

_BEGIN_AFTER = 10_000


def next_number(sequence: str) -> tuple[str, Write]:
    """The next number of a sequence (`bills`, `credit-notes`), and the write that takes it."""
    known = find_sequence(sequence)
    if known is None:
        number = _BEGIN_AFTER + 1
        return str(number), Put(Sequence(*keys.sequence(sequence), last=number), taken=Overtaken)
    number = int(known.last) + 1
    return str(number), Update(known, Change(last=number))
