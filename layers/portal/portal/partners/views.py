"""Partners as answers show them. Money is there for distributors only, and nobody else lists partners."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from portal.billing.standing import AmountView, PartnerStatus
from portal.dashboard.rules import TaskStatus
from portal.partners import records

if TYPE_CHECKING:
    from portal.paging import Page
    from portal.partners.listing import Listed, Money
    from portal.tree import Node


class PartnerRow(BaseModel):
    """A row of the list of partners. The first is the distributor's own "Direct Accounts", without e-mail and
    ids.
    """

    kind: Literal["direct_accounts", "partner"]
    id: str = Field(
        description="What the paths of this partner's operations take; `direct` for the direct accounts."
    )
    name: str
    email: str | None
    partner_id: str | None = Field(description="The visible Partner ID.")
    account_count: int
    size_bytes: int
    task_status: TaskStatus
    billing_status: PartnerStatus | None = None
    amount: AmountView | None = Field(
        default=None, description="What is owed, else what was paid last; null before that."
    )


class Partner(BaseModel):
    id: str
    partner_id: str = Field(
        description="The visible Partner ID: the distributor's own code, or the generated id."
    )
    name: str
    email: str
    pending_email: str | None = Field(description="The address it is to have once that is confirmed there.")
    country: str
    contact_person: str | None
    data_center: str | None
    account_count: int = Field(description="Removed accounts count until their data is purged.")
    created_at: datetime


def partner(record: records.Partner) -> Partner:
    return Partner(
        id=record.partner_id,
        partner_id=record.partner_code,
        name=record.name,
        email=record.email,
        pending_email=record.pending_email,
        country=record.country,
        contact_person=record.contact_person,
        data_center=record.data_center,
        account_count=int(record.account_count),
        created_at=record.created_at,
    )


def row(listed: "Listed") -> PartnerRow:
    """A row, still without its money."""
    return PartnerRow(
        kind="partner" if listed.partner else "direct_accounts",
        id=listed.node.partner,
        name=listed.name,
        email=listed.partner.email if listed.partner else None,
        partner_id=listed.partner.partner_code if listed.partner else None,
        account_count=listed.counts.get("accounts", 0),
        size_bytes=listed.counts.get("size_bytes", 0),
        task_status=listed.task_status,
    )


def with_money(
    page: "Page[PartnerRow]", distributor: "Node", money: "Mapping[Node, Money]"
) -> "Page[PartnerRow]":
    """The rows of a page with what the bills say of them."""
    for shown in page.items:
        of_it = money[distributor.child(shown.id)]
        shown.billing_status, shown.amount = of_it.status, of_it.amount
    return page
