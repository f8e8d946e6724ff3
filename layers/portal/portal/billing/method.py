"""How a distributor pays: its own choice is made once."""

from typing import TYPE_CHECKING, Literal

from portal.change import Change
from portal.errors import Conflict

if TYPE_CHECKING:
    from portal.distributors.records import Distributor


class ContactSupport(Conflict):
    detail = "How you pay has been chosen already; contact support to change it."


def chosen(distributor: "Distributor", method: Literal["credit_card", "invoice"]) -> Change:
    """The first choice.

    Raises:
        ContactSupport: there is one, be it the same.
    """
    if distributor.billing_method is not None:
        raise ContactSupport
    return Change(billing_method=method)
