"""POST /v1/operator/distributors

Adds a distributor, or a direct partner (an MSP that buys straight from the vendor), and invites its first
administrator. It is billed from the start of the period that today lies in; prices that are given hold from
that day on.
"""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field

from portal import ids, keys
from portal.billing.prices import PriceTerms
from portal.billing.records import PriceBookRecord
from portal.distributors import records, rules, views
from portal.fields import Country, Currency, Line, Name
from portal.identity.actions import invite
from portal.identity.emails import Email
from portal.journal import Activity, Entry
from portal.operation import OPERATORS, Call, operation
from portal.permissions import Permission
from portal.table import Put
from portal.tree import VENDOR, Node


class Payer(BaseModel, extra="forbid"):
    name: Name
    email: Email
    country: Country
    business: views.Business = "distributor"
    payment_day: Annotated[int, Field(ge=1, le=31)] = 1
    currency: Currency = "USD"
    billing_method: views.BillingMethod | None = None
    tax_rate: Annotated[Decimal, Field(ge=0, le=1, max_digits=7, decimal_places=6)] = Decimal(0)
    tax_name: Name | None = None
    tax_id: Name | None = None
    reverse_charge: bool = False
    address: Annotated[list[Line], Field(max_length=6)] | None = None


class NewDistributor(Payer):
    administrator_name: Name | None = None
    prices: PriceTerms | None = None


@operation(Permission.OPERATOR_DISTRIBUTORS, portals=OPERATORS, status=201)
def handler(call: Call, body: NewDistributor) -> views.Distributor:
    rules.check_currencies(body.currency, body.prices.currency if body.prices else None)
    rules.check_tax(body.reverse_charge, body.tax_id)
    begin = rules.begin(body.payment_day, call.now)
    node = Node(ids.new("dst", call.now))
    distributor = records.Distributor(
        keys.node(node),
        keys.NODE,
        distributor_id=node.distributor,
        billed_from_on=begin.billed_from_on,
        created_at=call.now,
        **body.model_dump(include=set(Payer.model_fields)),
    )
    invitation = invite(node, body.email, body.administrator_name or body.name, call.now, of_tenant=True)
    if body.prices:
        prices = body.prices.model_dump(mode="json", exclude_unset=True)
        call.commit(
            Put(
                PriceBookRecord(
                    keys.node(node),
                    keys.prices(begin.billed_from_on),
                    effective_on=begin.billed_from_on,
                    prices=prices,
                )
            )
        )
    said = f"Created {body.business.replace('_', ' ')} {body.name}"
    call.commit(
        Put(distributor),
        Put(records.schedule(node, "usage", begin.usage_due_at)),
        Put(records.schedule(node, "monthly", begin.monthly_due_at)),
        *invitation.writes,
        audit=[Entry(Activity.DISTRIBUTOR_CREATED, VENDOR, said, body.email, node)],
        send=invitation.messages,
    )
    return views.distributor(distributor)
