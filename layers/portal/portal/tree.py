"""The tenant tree: vendor, distributor, partner, account."""

from dataclasses import dataclass
from enum import StrEnum

DIRECT = "direct"
"""The reserved partner id under which a distributor's direct accounts hang."""


class Tier(StrEnum):
    VENDOR = "vendor"
    DISTRIBUTOR = "distributor"
    PARTNER = "partner"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Node:
    """One tenant, named by its path from the top. The vendor has an empty path."""

    distributor: str = ""
    partner: str = ""
    account: str = ""

    @property
    def tier(self) -> Tier:
        if self.account:
            return Tier.ACCOUNT
        if self.partner:
            return Tier.PARTNER
        return Tier.DISTRIBUTOR if self.distributor else Tier.VENDOR

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(part for part in (self.distributor, self.partner, self.account) if part)

    def contains(self, other: "Node") -> bool:
        """Whether `other` is this node or lies below it."""
        return other.path[: len(self.path)] == self.path

    @property
    def parent(self) -> "Node":
        return Node(*self.path[:-1])

    @property
    def distributor_node(self) -> "Node":
        return Node(self.distributor)

    @property
    def partner_node(self) -> "Node":
        return Node(self.distributor, self.partner)

    @property
    def is_direct(self) -> bool:
        """Whether this is a distributor's direct account (or the reserved node they hang under)."""
        return self.partner == DIRECT

    def child(self, part: str) -> "Node":
        """The node one tier down with this id."""
        return Node(*(*self.path, part))

    def __str__(self) -> str:
        return "/".join(self.path)

    @classmethod
    def parse(cls, text: str) -> "Node":
        """The inverse of `str`: `dst_1/prt_2/acc_3`."""
        return cls(*filter(None, text.split("/")))


VENDOR = Node()
