"""DELETE /v1/api-keys/{client_id}

Ends one of this portal's API keys, your own or somebody else's: its tokens are refused from the next request on.
"""

from portal.identity import records
from portal.journal import Activity, Entry
from portal.operation import Call, operation
from portal.permissions import Permission
from portal.table import Delete


@operation(Permission.INTEGRATIONS_MANAGE)
def handler(call: Call) -> None:
    key = records.get_api_key(call.scope, call.caller.portal, call.path["client_id"])
    client = records.find_api_client(key.client_id)
    owner = records.find_user(key.node, key.user_id)
    of_whom = f" of {owner.email}" if owner else ""
    said = f"Deleted API key {key.name} ({key.client_id}){of_whom}"
    entry = Entry(Activity.API_KEY_CHANGED, key.node, said)
    call.commit(Delete(key), *([Delete(client)] if client else []), audit=[entry])
