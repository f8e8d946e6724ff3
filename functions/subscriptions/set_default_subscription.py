"""PUT /v1/settings/default-subscription

Chooses how new accounts of this portal begin. A distributor's choice holds for its partners too, unless they
choose themselves; accounts that exist are not touched.
"""

from portal.change import Change
from portal.journal import Activity, Entry
from portal.operation import RESELLERS, Call, operation
from portal.permissions import Permission
from portal.subscriptions import records, views
from portal.subscriptions.rules import DefaultSubscription
from portal.table import Update


@operation(Permission.SETTINGS_MANAGE, portals=RESELLERS)
def handler(call: Call, body: DefaultSubscription) -> views.ChosenDefault:
    portal = call.caller.portal
    settings = records.get_settings(call.scope, portal)
    change = Change(default_subscription=body.model_dump(mode="json"))
    described = body.mode.replace("_", " ") + (f", {body.plan}" if body.plan else "")
    entry = Entry(Activity.SETTINGS_CHANGED, portal, f"Set the default subscription to {described}")
    call.commit(Update(settings, change), audit=[entry])
    return views.chosen_default(records.Chosen(body, inherited=False))
