"""ANY /{proxy+}

What no other operation takes: 404, or 405 where the address exists with other methods.
"""

from portal.errors import MethodNotAllowed, NotFound
from portal.meta import routes
from portal.operation import REST_OF_PATH, Call, Reply, public_operation


@public_operation(because="it only ever refuses, and what exists is public in the OpenAPI document")
def handler(call: Call) -> Reply:
    allowed = routes.methods_of(f"/{call.path[REST_OF_PATH]}")
    if allowed:
        raise MethodNotAllowed(allowed=allowed)
    raise NotFound
