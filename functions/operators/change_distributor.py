"""PATCH /v1/operator/distributors/{distributor_id}

Changes what is given and leaves the rest; null takes the tax name, the tax id or the address away. Bills
that are issued stay as they are; tax and address count from the next bill on.
"""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field

from portal.distributors import records, rules, views
from portal.fields import Country, Line, Name
from portal.journal import Activity, Entry
from portal.operation import OPERATORS, Call, operation
from portal.permissions import Permission
from portal.table import Update
from portal.tree import VENDOR


class DistributorChanges(BaseModel, extra="forbid"):
    name: Name = ""
    country: Country = ""
    tax_rate: Annotated[Decimal, Field(ge=0, le=1, max_digits=7, decimal_places=6)] = Decimal(0)
    tax_name: Name | None = None
    tax_id: Name | None = None
    reverse_charge: bool = False
    address: Annotated[list[Line], Field(max_length=6)] | None = None


@operation(Permission.OPERATOR_DISTRIBUTORS, portals=OPERATORS)
def handler(call: Call, body: DistributorChanges) -> views.Distributor:
    distributor = records.get_distributor(call.scope, call.path["distributor_id"])
    change = rules.change(distributor, body.model_dump(exclude_unset=True))
    if change:
        said = rules.described(distributor, change)
        entries = [
            Entry(Activity.SETTINGS_CHANGED, node, said, distributor.email, distributor.node)
            for node in (VENDOR, distributor.node)
        ]
        call.commit(Update(distributor, change), audit=entries)
    return views.distributor(distributor)
