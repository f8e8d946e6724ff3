"""The report's CSV: one line per protected entity."""

from typing import TYPE_CHECKING

from portal.csv_cells import Cell
from portal.services import Service

if TYPE_CHECKING:
    from portal.accounts.records import Account
    from portal.tasks.records import Entity

HEADER: tuple[str, ...] = (
    "Partner",
    "Account",
    "Account E-mail",
    "Service",
    "Entity",
    "Kind",
    "Status",
    "Licensed",
    "Size (bytes)",
    "Last Backup (UTC)",
)


def line(partner_name: str, account: "Account", entity: "Entity") -> list[Cell]:
    """What the report says of one entity."""
    return [
        partner_name,
        account.name,
        account.email,
        entity.service,
        entity.name,
        entity.entity_kind,
        entity.status,
        _licensed(entity),
        int(entity.size_bytes),
        f"{entity.last_backup_at:%Y-%m-%d %H:%M:%S}" if entity.last_backup_at else "",
    ]


def _licensed(entity: "Entity") -> str:
    """Licences matter for Exchange mailboxes only; elsewhere the cell is empty."""
    if entity.service != Service.MICROSOFT_365_EXCHANGE or entity.licensed is None:
        return ""
    return "yes" if entity.licensed else "no"
