"""GET /v1/health

Tells that the service answers and reaches its table. Costs one small read.
"""

from portal.meta import health, views
from portal.operation import Call, public_operation


@public_operation(because="monitors watch it from outside; it tells nothing but that it works")
def handler(call: Call) -> views.Health:
    health.check()
    return views.Health(status="ok")
