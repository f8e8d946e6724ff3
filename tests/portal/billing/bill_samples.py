"""Issued bills of any size, made in memory."""

import re
import zlib
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from portal.billing.lines import FrozenBill
from portal.billing.rating import Tax, Total
from portal.money import Money
from portal.periods import Period

SELLER = {
    "name": "Example Backup",
    "address": ["1 Sample Street", "1012 AB Amsterdam"],
    "tax_id": "NL000099998B57",
    "email": "billing@example.com",
    "bank": ["IBAN NL00 EXAM 0000 0000 00"],
}
PAYER = {
    "name": "North Distribution",
    "email": "office@north.example.com",
    "country": "Luxembourg",
    "address": ["2 Harbour Road", "Luxembourg"],
    "tax_id": "LU00000000",
}
PARTNERS = {
    "prt_1": {"name": "Jacob Anderson", "code": "DDEVR002"},
    "prt_2": {"name": "Moby Systems", "code": "M-7"},
}


def a_bill(names: Sequence[str], partners: Sequence[str] = ("direct",), **values: Any) -> FrozenBill:
    """A bill with a line over 7.20 for each account, which are dealt out to the partners."""
    accounts = [
        {"account_id": f"acc_{number:06d}", "partner_id": partners[number % len(partners)], "name": name}
        | {"email": f"customer{number}@example.com", "outcome": "billed"}
        for number, name in enumerate(names)
    ]
    parts: list[Any] = [
        SimpleNamespace(roster=[account], lines=[_line(account["account_id"])], partners=PARTNERS)
        for account in accounts
    ]
    net = 720 * len(names)
    tax = values.get("tax", Tax(Decimal("0.17"), "VAT"))
    taxed = 0 if tax.reverse_charge else round(net * 0.17)
    attributes: dict[str, Any] = {
        "kind": "monthly",
        "method": "invoice",
        "reference": "80035",
        "issued_on": date(2023, 1, 24),
        "due_on": date(2023, 2, 23),
        "period": Period(date(2022, 12, 24), date(2023, 1, 24)),
        "seller": SELLER,
        "payer": PAYER,
        "tax": tax,
        "total": Total(Money(net, "USD"), Money(taxed, "USD"), Money(net + taxed, "USD")),
        "parts": parts,
    }
    return FrozenBill(**attributes | values)


def texts_of(pdf: bytes) -> list[list[str]]:
    """What stands on each page of a PDF, piece by piece; plain characters only."""
    pages = []
    for stream in re.findall(rb"[^d]stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        try:
            content = zlib.decompressobj().decompress(stream)
        except zlib.error:
            continue
        if b"BT" in content:
            found = re.findall(rb"\(((?:[^()\\]|\\.)*)\) Tj", content)
            pages.append([re.sub(rb"\\(.)", rb"\1", text).decode("latin-1") for text in found])
    return pages


def _line(account_id: str) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "service": "microsoft_365_exchange",
        "kind": "monthly",
        "quantity": "4",
        "unit_price": 300,
        "discount": "0.4",
        "days": 31,
        "of_days": 31,
        "amount": 720,
    }
