"""Who is calling, and what of the tree they may see.

`Caller` is what the authorizer found out. `Scope` is what every load goes through: there is no way to read a record
without one, and outside of it nothing exists.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.errors import NotFound
from portal.permissions import KNOWN, Permission
from portal.tree import VENDOR, Node, Tier


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, for one portal.

    A token speaks for `portal`; `home` is where the user belongs: higher up when the portal was entered from above.
    """

    kind: str
    """`user`, `engine`, `system` (jobs and workers) or `anonymous`."""
    user_id: str = ""
    email: str = ""
    name: str = ""
    home: Node = VENDOR
    portal: Node = VENDOR
    session_id: str = ""
    client_id: str = ""
    """The API key that calls in the user's place; empty when it is the person."""
    permissions: frozenset[Permission] = frozenset()
    limited: bool = False
    """Whether the user sees only an explicit list of accounts instead of all."""
    refused: str = ""
    """Why a token that was sent does not count, e.g. `access_denied`; empty when none was sent or it counts."""

    @property
    def entered(self) -> bool:
        return self.home != self.portal

    @property
    def sees_money(self) -> bool:
        """Billing fields exist for distributors and operators only."""
        return self.kind == "user" and self.portal.tier in (Tier.VENDOR, Tier.DISTRIBUTOR)

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def to_context(self) -> dict[str, str]:
        """As the authorizer hands it to API Gateway: flat, text only."""
        return {
            "kind": self.kind,
            "user_id": self.user_id,
            "email": self.email,
            "name": self.name,
            "home": str(self.home),
            "portal": str(self.portal),
            "session_id": self.session_id,
            "client_id": self.client_id,
            "permissions": " ".join(sorted(self.permissions)),
            "limited": "yes" if self.limited else "",
            "refused": self.refused,
        }

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> "Caller":
        """The inverse of `to_context`; API Gateway adds keys of its own, which are ignored."""
        return cls(
            kind=context["kind"],
            user_id=context.get("user_id", ""),
            email=context.get("email", ""),
            name=context.get("name", ""),
            home=Node.parse(context.get("home", "")),
            portal=Node.parse(context.get("portal", "")),
            session_id=context.get("session_id", ""),
            client_id=context.get("client_id", ""),
            permissions=frozenset(
                KNOWN[name] for name in context.get("permissions", "").split() if name in KNOWN
            ),
            limited=bool(context.get("limited")),
            refused=context.get("refused", ""),
        )


ANONYMOUS = Caller(kind="anonymous")
SYSTEM = Caller(kind="system")
"""Who performs what jobs and workers do."""


@dataclass(frozen=True, slots=True)
class Origin:
    """When and from where a request came."""

    at: datetime
    address: str
    """The IP address as API Gateway saw it."""
    user_agent: str


@dataclass(frozen=True, slots=True)
class Scope:
    """A subtree, optionally narrowed to accessible partners and accounts."""

    top: Node
    accessible: Collection[str] | None = None
    """Ids of partners and accounts; None means all, those created later included."""

    def covers(self, node: Node) -> bool:
        if not self.top.contains(node):
            return False
        if self.accessible is None or node == self.top or node.tier in (Tier.VENDOR, Tier.DISTRIBUTOR):
            return True
        return node.account in self.accessible or (not node.is_direct and node.partner in self.accessible)

    def reach(self, node: Node) -> Node:
        """The node itself.

        Raises:
            NotFound: it lies outside; the answer does not tell whether it exists.
        """
        if not self.covers(node):
            raise NotFound
        return node

    def partner(self, partner_id: str) -> Node:
        """The partner node with this id in a distributor's scope.

        Raises:
            NotFound: the scope is not a distributor's, or the partner is not among the accessible ones.
        """
        if self.top.tier is not Tier.DISTRIBUTOR or not partner_id:
            raise NotFound
        return self.reach(self.top.child(partner_id))


EVERYTHING = Scope(VENDOR)
"""The scope of the system itself: jobs, workers, the engine and operators."""
