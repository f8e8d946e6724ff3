"""What the operations on IP restrictions answer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from portal.paging import Page


class IpEntry(BaseModel, serialize_by_alias=True):
    """An entry has either addresses or a range."""

    entry_id: str
    addresses: str = Field(default="", description="One or more addresses, with commas between them.")
    from_: str = Field(default="", alias="from", description="First address of a range.")
    to: str = Field(default="", description="Last address of the range, which belongs to it.")
    description: str
    created_at: datetime


class IpRestrictions(Page[IpEntry]):
    enabled: bool = Field(
        description="Whether users of this portal are refused who come from any other address."
    )
    ip_address: str = Field(description="The address this request came from.")


class IpRestrictionSwitch(BaseModel):
    enabled: bool


def ip_entry(stored: Mapping[str, Any]) -> IpEntry:
    listed = {"addresses": ", ".join(stored["addresses"])} if "addresses" in stored else {}
    return IpEntry.model_validate({**stored, **listed})


def ip_restrictions(page: Page[IpEntry], *, enabled: bool, address: str) -> IpRestrictions:
    """`address` is the caller's."""
    return IpRestrictions(
        items=page.items, next_cursor=page.next_cursor, total=page.total, enabled=enabled, ip_address=address
    )
