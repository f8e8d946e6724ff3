"""GET /v1/me

Who is signed in, for which portal, what they may do there, and the address the request came from.
"""

from portal.accounts.records import get_account_at
from portal.distributors.records import get_distributor
from portal.identity import views
from portal.operation import ANYBODY, Call, operation
from portal.partners.records import get_partner_at
from portal.settings import settings
from portal.tree import Tier


@operation(None, portals=ANYBODY)
def handler(call: Call) -> views.Me:
    portal = call.caller.portal
    match portal.tier:
        case Tier.VENDOR:
            return views.me(call.caller, settings.vendor_name, None, call.address)
        case Tier.DISTRIBUTOR:
            distributor = get_distributor(call.scope, portal.distributor)
            return views.me(call.caller, distributor.name, distributor.business, call.address)
        case Tier.PARTNER:
            return views.me(call.caller, get_partner_at(call.scope, portal).name, None, call.address)
        case Tier.ACCOUNT:
            return views.me(call.caller, get_account_at(call.scope, portal).name, None, call.address)
