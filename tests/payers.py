"""Who pays by card, and the payment provider's side of it."""

from datetime import datetime
from typing import Any

from portal import keys
from portal.change import Change
from portal.payments.records import Card, Charge, Customer, Payer, find_charge, find_payer
from portal.scope import EVERYTHING
from portal.table import Update, stage, write
from portal.tree import Node
from tests.books import bills, store
from tests.support import FakeStripe
from tests.world import Answer, World


def a_customer(world: World, stripe: FakeStripe, distributor: Node) -> str:
    """The distributor as the provider's customer, whose id this is."""
    payer = find_payer(EVERYTHING, distributor)
    if payer is not None and payer.customer_id:
        customer_id: str = payer.customer_id
        return customer_id
    customer_id = stripe.make_customer(distributor.distributor)
    store(
        [
            Payer(
                keys.node(distributor),
                keys.PAYER,
                customer_id=customer_id,
                created_at=world.now,
            ),
            Customer(*keys.customer(customer_id), distributor_id=distributor.distributor),
        ]
    )
    return customer_id


def a_card(
    world: World, stripe: FakeStripe, distributor: Node, behaviour: str = "ok", *, active: bool = True
) -> str:
    """The id of one more card of a distributor; the active one unless said otherwise."""
    customer_id = a_customer(world, stripe, distributor)
    card_id = stripe.make_card(customer_id, behaviour)
    details = {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030}
    store(
        [
            Card(
                keys.node(distributor),
                keys.card(card_id),
                card_id=card_id,
                created_at=world.now,
                **details,
            )
        ]
    )
    if active:
        make_active(distributor, card_id)
    return card_id


def make_active(distributor: Node, card_id: str | None) -> None:
    """What bills are charged to from now on; None: nothing."""
    payer = find_payer(EVERYTHING, distributor)
    assert payer is not None
    write([stage(Update(payer, Change(active_card_id=card_id)))])


def the_charge(distributor: Node, at: int = -1) -> Charge:
    """The charge of one of a distributor's bills, the latest unless said otherwise."""
    found = find_charge(EVERYTHING, bills(distributor)[at])
    assert found is not None
    return found


def pay(world: World) -> int:
    """What waits for the queue of payments, and whatever that leads to; returns how many messages were taken."""
    taken = 0
    while True:
        world.stream("notifications.deliver_outbox")
        now = world.work("payments.on_payment_due", "Payments")
        if not now:
            return taken
        taken += now


def run_charges(world: World, as_of: datetime | None = None) -> int:
    """The charging job and its workers; returns how many messages they took."""
    world.run("payments.run_charges", as_of)
    return pay(world)


def tell(world: World, stripe: FakeStripe, event: dict[str, Any], at: datetime | None = None) -> Answer:
    """One webhook from the provider."""
    body, signature = stripe.signed(event, at)
    return world.call("payments.take_provider_event", body=body, headers={"Stripe-Signature": signature})


def tell_all(world: World, stripe: FakeStripe, *, since: int = 0) -> None:
    """Everything that the provider has to tell from its `since`-th event on, and what that leads to."""
    for event in stripe.events[since:]:
        assert tell(world, stripe, event).status == 204
    pay(world)
