"""Which default subscription holds for new accounts of a portal."""

from dataclasses import dataclass

from portal.distributors.records import Distributor, get_distributor
from portal.partners.records import Partner, get_partner_at
from portal.scope import EVERYTHING, Scope
from portal.subscriptions.rules import UNLESS_CHOSEN, DefaultSubscription
from portal.tree import Node, Tier


@dataclass(frozen=True, slots=True)
class Chosen:
    default: DefaultSubscription
    inherited: bool
    """Whether the portal has not chosen it itself."""


def get_settings(scope: Scope, portal: Node) -> Distributor | Partner:
    """The record on which a distributor's or partner's portal keeps its choice."""
    if portal.tier is Tier.PARTNER:
        return get_partner_at(scope, portal)
    return get_distributor(scope, portal.distributor)


def get_default(scope: Scope, portal: Node) -> Chosen:
    """What holds in a portal: its own choice, else its distributor's, else a trial that expires."""
    own = get_settings(scope, portal).default_subscription
    if own is None and portal.tier is Tier.PARTNER:
        # A partner sees nothing else of its distributor, but its accounts follow what that has chosen.
        inherited = get_distributor(EVERYTHING, portal.distributor).default_subscription
    else:
        inherited = None
    stored = own or inherited
    return Chosen(
        DefaultSubscription.model_validate(stored) if stored else UNLESS_CHOSEN, inherited=own is None
    )
