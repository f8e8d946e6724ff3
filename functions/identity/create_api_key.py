"""POST /v1/api-keys

Makes an API key of your own for your own portal. It may do what you may, sees the accounts that you see, comes from the
addresses that you may come from, and ends when you are removed. While you are disabled it gets no tokens; those it had
before are over for good, and new ones can be had once you are enabled again. The secret is answered this once. At most 20
keys. API keys themselves make none.
"""

from pydantic import BaseModel

from portal.fields import Name
from portal.identity import api_keys, key_views, records
from portal.journal import Activity, Entry
from portal.operation import Call, operation
from portal.permissions import Permission


class ApiKeyWanted(BaseModel, extra="forbid"):
    name: Name


@operation(Permission.INTEGRATIONS_MANAGE, status=201, people_only=True)
def handler(call: Call, body: ApiKeyWanted) -> key_views.NewApiKey:
    api_keys.check_own_portal(call.caller)
    user = records.get_user(call.scope, call.caller.home, call.caller.user_id)
    new = api_keys.make(user, body.name, call.now)
    said = f"Created API key {body.name} ({new.key.client_id})"
    call.commit(*new.writes, audit=[Entry(Activity.API_KEY_CHANGED, user.node, said)])
    return key_views.new_api_key(new.key, new.secret)
