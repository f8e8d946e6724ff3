"""GET /v1/openapi.json

This description of all operations, as OpenAPI 3.1.
"""

from portal.meta import routes
from portal.operation import Call, Reply, public_operation


@public_operation(because="developers read it before they have an account; it holds no data of anybody")
def handler(call: Call) -> Reply:
    return Reply(routes.document(), content_type="application/json")
