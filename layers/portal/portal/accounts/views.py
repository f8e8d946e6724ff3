"""Accounts as answers show them.

Fields of money are absent, not empty, for those who see none: they are set only where a standing is given.
"""

from datetime import date, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from portal.accounts.listing import Listed
from portal.accounts.rules import AccountStatus, BackupStatus, account_status
from portal.billing.standing import AmountView, Status, amount
from portal.subscriptions.spans import renewal_on

if TYPE_CHECKING:
    from portal.accounts.records import Account as AccountRecord
    from portal.billing.standing import Standing


class AccountRow(BaseModel):
    """A row of a list of accounts."""

    account_id: str
    name: str
    email: str
    partner_id: str = Field(description="The partner it belongs to; `direct` for a distributor's own.")
    size_bytes: int
    account_status: AccountStatus
    backup_status: BackupStatus
    created_at: datetime
    billing_status: Status | None = Field(None, description="Distributor portals only.")
    amount: AmountView | None = Field(
        None, description="Distributor portals only; null before the first bill."
    )


class Account(AccountRow):
    """One account."""

    pending_email: str | None = Field(description="The address it is to have once that is confirmed there.")
    data_center: str | None
    archive_location: str | None
    task_count: int
    trial_ends_at: datetime | None
    subscribed_on: date | None
    renewal_date: date | None
    ended_on: date | None = Field(description="The first day that is not billed any more.")


def row(listed: Listed) -> AccountRow:
    """An account in a list; with its money where `listed` has a standing."""
    return AccountRow.model_validate(_row(listed))


def account(record: "AccountRecord", now: datetime, standing: "Standing | None" = None) -> Account:
    """An account in full; with its money where a standing is given."""
    return Account.model_validate(
        _row(Listed(record, account_status(record, now), standing))
        | {
            "pending_email": record.pending_email,
            "data_center": record.data_center,
            "archive_location": record.archive_location,
            "task_count": record.task_count,
            "trial_ends_at": record.trial_ends_at,
            "subscribed_on": record.subscribed_on,
            "renewal_date": renewal_on(record, now),
            "ended_on": record.ended_on,
        }
    )


def _row(listed: Listed) -> dict[str, object]:
    record = listed.account
    shown: dict[str, object] = {
        "account_id": record.account_id,
        "name": record.name,
        "email": record.email,
        "partner_id": record.node.partner,
        "size_bytes": record.size_bytes,
        "account_status": listed.status,
        "backup_status": record.backup_status,
        "created_at": record.created_at,
    }
    if listed.standing is not None:
        shown |= {"billing_status": listed.standing.status, "amount": amount([listed.standing])}
    return shown
