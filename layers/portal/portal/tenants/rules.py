"""What a distributor, partner or account may change of itself."""

from typing import TYPE_CHECKING, Any

from portal.change import Change

if TYPE_CHECKING:
    from portal.tenants.records import Tenant


def change(tenant: "Tenant", given: dict[str, Any]) -> Change:
    """The attributes that get another value. `given` holds new ones by attribute name; None takes one away."""
    return Change(**{name: value for name, value in given.items() if getattr(tenant, name) != value})


def described(tenant: "Tenant", changed: Change) -> str:
    """How the audit trail tells of a change that is not made yet."""
    said = [f"{_LABELS[name]} to {_said(value)}" for name, value in changed.items() if name in _LABELS]
    return f"Changed the settings of {tenant.name}: {', '.join(said)}"


def _said(value: Any) -> str:
    return (", ".join(value) if isinstance(value, list) else str(value or "")) or "nothing"


_LABELS = {
    "name": "name",
    "pending_email": "e-mail address, once it is confirmed,",
    "office_address": "address",
    "phone": "phone",
}
