"""Finding a tenant of whichever tier."""

from portal.accounts.records import get_account_at
from portal.distributors.records import get_distributor
from portal.errors import NotFound
from portal.partners.records import get_partner_at
from portal.scope import Scope
from portal.tenants.records import Tenant
from portal.tree import Node, Tier


def get_tenant(scope: Scope, node: Node) -> Tenant:
    """The distributor, partner or account at a node.

    Raises:
        NotFound: there is none (any more), or the scope does not cover it. The vendor is no tenant.
    """
    match node.tier:
        case Tier.DISTRIBUTOR:
            return get_distributor(scope, node.distributor)
        case Tier.PARTNER:
            return get_partner_at(scope, node)
        case Tier.ACCOUNT:
            return get_account_at(scope, node)
    raise NotFound


def find_tenant(scope: Scope, node: Node) -> Tenant | None:
    """The same, or None; an account that is being removed is gone, too."""
    try:
        tenant = get_tenant(scope, node)
    except NotFound:
        return None
    return None if getattr(tenant, "state", "") == "removal_pending" else tenant
