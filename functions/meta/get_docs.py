"""GET /v1/docs

A page for people that shows the OpenAPI description of all operations.
"""

from portal.meta import page
from portal.operation import Call, Reply, public_operation


@public_operation(because="developers read it before they have an account; it holds no data of anybody")
def handler(call: Call) -> Reply:
    return Reply(page.html(), headers=page.headers(), content_type="text/html; charset=utf-8")
