"""Digests: what tells that an issued document is still, to the letter, what was issued.

A part's content is added to its bill's digest when it is rated, so the whole costs no second reading; the bill's own
attributes are added when it is issued. Reconciliation computes the same anew from what is stored.
"""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from portal.change import Change

if TYPE_CHECKING:
    from portal.billing.records import Bill, BillPart, CreditNote

_PART = ("roster", "lines", "partners")
_OF_BILLS = (
    "bill_kind", "bill_method", "account_id", "partner_id", "part_count", "line_count", "prices", "due_on",
)  # fmt: skip
_OF_NOTES = ("bill_sk", "bill_reference", "bill_issued_on", "reason", *_PART)
_OF_BOTH = (
    "reference", "issued_on", "period_start_on", "period_end_on", "currency", "payer", "seller", "tax_rate",
    "tax_name", "reverse_charge", "net_minor", "tax_minor", "total_minor",
)  # fmt: skip


def with_part(before: str | None, content: "BillPart | Mapping[str, Any]") -> str:
    """The digest of a bill's parts up to this one. `before` is that of the parts before it, None at the first."""
    values = {name: _value(content, name) for name in _PART}
    return _hashed(before or "", values)


def of_bill(bill: "Bill", change: Mapping[str, Any] | None = None) -> str:
    """The digest of a bill, as it will be with this change."""
    values = {name: (change or {}).get(name, getattr(bill, name)) for name in (*_OF_BOTH, *_OF_BILLS)}
    return _hashed((change or {}).get("parts_digest", bill.parts_digest) or "", values)


def sealed(bill: "Bill", issue: Change, parts_digest: str | None = None) -> Change:
    """The change that issues a bill, with the digest. `parts_digest` where it is not on the bill yet."""
    whole = issue | Change(parts_digest=parts_digest or bill.parts_digest)
    return whole | Change(digest=of_bill(bill, whole))


def of_note(note: "CreditNote") -> str:
    return _hashed("", {name: getattr(note, name) for name in (*_OF_BOTH, *_OF_NOTES)})


def _value(content: Any, name: str) -> Any:
    return content.get(name) if isinstance(content, Mapping) else getattr(content, name)


def _hashed(before: str, values: Mapping[str, Any]) -> str:
    said = orjson.dumps(values, option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(before.encode() + said).hexdigest()
