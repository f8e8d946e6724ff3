"""GET /v1/api-keys

The API keys of this portal's users, latest first: whose they are, since when, and when each was last used.
"""

from portal.identity import key_views, records
from portal.operation import Call, operation
from portal.paging import Page, PageQuery
from portal.permissions import Permission


@operation(Permission.INTEGRATIONS_MANAGE)
def handler(call: Call, query: PageQuery) -> Page[key_views.ApiKey]:
    keys = list(records.list_api_keys(call.scope, call.caller.portal))
    clients = records.find_api_clients(key.client_id for key in keys)
    users = records.find_users(call.scope, call.caller.portal, {key.user_id for key in keys})
    return call.page(
        (key for key in keys if key.user_id in users),
        query,
        key=lambda key: (key.client_id,),
        show=lambda key: key_views.api_key(key, clients.get(key.client_id), users[key.user_id].email),
        descending=True,
    )
