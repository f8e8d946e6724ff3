"""What is particular about the vendor's own staff."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from portal.errors import Conflict

if TYPE_CHECKING:
    from portal.identity.records import User


class OperatorExists(Conflict):
    detail = "There is an operator already; operators invite one another."


def may_begin(operators: Iterable["User"]) -> None:
    """Whether the vendor still has nobody who can sign in; who was only invited does not count.

    Raises:
        OperatorExists: somebody can.
    """
    if any(operator.state != "invited" for operator in operators):
        raise OperatorExists
