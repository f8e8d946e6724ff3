"""A distributor as the payment provider's customer."""

from typing import TYPE_CHECKING

from portal import keys
from portal.adapters import stripe
from portal.billing.records import Overtaken
from portal.distributors.records import get_distributor
from portal.payments.provider import answering, check_introduced
from portal.payments.records import Customer, Payer, find_payer
from portal.table import Put

if TYPE_CHECKING:
    from portal.operation import Call


def payer_of(call: "Call") -> Payer:
    """The caller's distributor as the provider's customer. It becomes one here the first time, which is written at once.

    Only the customer that is stored is ever used. One that was made and could not be stored is the same one when asked for
    again within the hour; later it stays behind, without a card. Nor is one asked for under the same key for longer: if the
    provider has failed inside, it gives that answer under it for a day.

    Raises:
        CardPaymentsUnavailable, PaymentProviderUnavailable, PaymentProviderRefused: nothing is stored then.
    """
    check_introduced()
    distributor = get_distributor(call.scope, call.caller.portal.distributor)
    known = find_payer(call.scope, distributor.node)
    if known is not None:
        return known
    with answering():
        customer_id = stripe.create_customer(
            distributor.distributor_id, distributor.name, distributor.email, f"{call.now:%Y-%m-%dT%H}"
        )
    payer = Payer(keys.node(distributor.node), keys.PAYER, customer_id=customer_id, created_at=call.now)
    whose = Customer(
        *keys.customer(customer_id), distributor_id=distributor.distributor_id, created_at=call.now
    )
    call.commit_now(Put(payer, taken=Overtaken), Put(whose, taken=Overtaken))
    return payer
