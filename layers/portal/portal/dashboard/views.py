"""The dashboard as answers show it."""

from pydantic import BaseModel, Field

from portal.dashboard.rules import Contribution
from portal.money import Money
from portal.money_view import MoneyView, money


class TrialCounts(BaseModel):
    in_progress: int
    expiring: int
    expired: int


class BackupCounts(BaseModel):
    no_backup: int
    successful: int
    partially_failed: int
    failed: int


class Dashboard(BaseModel):
    """Sums over all accounts that the caller may see."""

    total_accounts: int
    total_size_bytes: int
    trial: TrialCounts
    backup: BackupCounts
    amount_owed: MoneyView | None = Field(None, description="Distributor portals only.")


def dashboard(sums: Contribution, owed: Money | None) -> Dashboard:
    """`owed` is None for those who see no money: the field is absent then."""
    shown = {
        "total_accounts": sums.get("accounts", 0),
        "total_size_bytes": sums.get("size_bytes", 0),
        "trial": TrialCounts(
            in_progress=sums.get("trial_in_progress", 0),
            expiring=sums.get("trial_expiring", 0),
            expired=sums.get("trial_expired", 0),
        ),
        "backup": BackupCounts(
            no_backup=sums.get("no_backups", 0),
            successful=sums.get("successful", 0),
            partially_failed=sums.get("partially_failed", 0),
            failed=sums.get("failed", 0),
        ),
    }
    if owed is not None:
        shown["amount_owed"] = money(owed)
    return Dashboard.model_validate(shown)
