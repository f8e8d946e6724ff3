"""What may become of a partner."""

from typing import TYPE_CHECKING, Any

from portal.change import Change
from portal.errors import Conflict, FieldError, Invalid
from portal.tree import DIRECT

if TYPE_CHECKING:
    from portal.distributors.records import Distributor
    from portal.partners.records import Partner


class NoPartnersHere(Conflict):
    detail = "A direct partner has accounts of its own, but no partners."


class PartnerIdTaken(Conflict):
    detail = "Another partner has this Partner ID."


class ReservedPartnerId(Invalid):
    detail = "This Partner ID is reserved."

    def __init__(self) -> None:
        super().__init__(errors=(FieldError("partner_id", self.detail),))


class PartnerHasAccounts(Conflict):
    detail = (
        "This partner still has accounts. Remove them first; one that was removed counts until it is purged."
    )


def may_have_partners(distributor: "Distributor") -> None:
    """Raises NoPartnersHere for a direct partner."""
    if distributor.business == "direct_partner":
        raise NoPartnersHere


def own_code(code: str | None, generated: str) -> str:
    """The visible Partner ID: the code that the distributor gave, by default the generated id.

    Raises:
        ReservedPartnerId: it could be taken for a generated id or for the direct accounts.
    """
    if code is None:
        return generated
    prefix = generated.partition("_")[0] + "_"
    if code.casefold() == DIRECT or (code.casefold().startswith(prefix) and code != generated):
        raise ReservedPartnerId
    return code


def change(partner: "Partner", given: dict[str, Any]) -> Change:
    """The attributes that get another value. `given` holds new ones by attribute name; None takes one away.

    Without its own code a partner shows its generated id again.

    Raises:
        ReservedPartnerId: as `own_code`.
    """
    if "partner_code" in given:
        given = given | {"partner_code": own_code(given["partner_code"], partner.partner_id)}
    return Change(**{name: value for name, value in given.items() if getattr(partner, name) != value})


def needs_another_code(partner: "Partner", changed: Change) -> bool:
    """Whether another visible Partner ID has to be kept; one in other capitals is the same."""
    code = changed.get("partner_code")
    return code is not None and code.casefold() != partner.partner_code.casefold()


def remove(partner: "Partner") -> None:
    """Allows a partner to be removed.

    Raises:
        PartnerHasAccounts: accounts are left, were it only that the data of a removed one is not purged yet.
    """
    if partner.account_count > 0:
        raise PartnerHasAccounts


def described(partner: "Partner", changed: Change) -> str:
    """How the audit trail tells of a change."""
    said = ", ".join(
        f"{_LABELS[name]} to {value or 'nothing'}" for name, value in changed.items() if name in _LABELS
    )
    return f"Changed partner {partner.name}: {said}"


_LABELS = {
    "name": "name",
    "country": "country",
    "contact_person": "contact person",
    "partner_code": "Partner ID",
    "data_center": "data center",
    "pending_email": "e-mail address, once it is confirmed,",
}
