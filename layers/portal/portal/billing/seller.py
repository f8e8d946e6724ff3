"""Who bills: the vendor as it stands on bills. A draft takes a copy, so that later changes leave issued bills
alone.
"""

from typing import Any

from portal.settings import settings


def seller() -> dict[str, Any]:
    """`name`, `address` (lines), `tax_id`, `email`, and `bank` (lines), to where invoices are paid; what is
    unset is empty.
    """
    return {
        "name": settings.vendor_name,
        "address": _lines(settings.vendor_address),
        "tax_id": settings.vendor_tax_id,
        "email": settings.billing_contact,
        "bank": _lines(settings.vendor_bank),
    }


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split(";") if line.strip()]
