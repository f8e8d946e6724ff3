"""What is stored of paying: a distributor's customer and cards at the payment provider, charges, payment pages.

Card numbers never come here: a card is the provider's id of it, and what a person recognizes it by.
"""

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from portal import keys
from portal.billing.records import Bill
from portal.errors import NotFound
from portal.scope import Scope
from portal.table import InstantAttribute, Item, JsonAttribute, find, query
from portal.tree import Node


class Payer(Item, discriminator="payer"):
    """A distributor as the payment provider's customer."""

    customer_id = UnicodeAttribute()
    active_card_id = UnicodeAttribute(null=True)
    """What consolidated bills are charged to: one pointer, so never two active cards."""


class Card(Item, discriminator="card"):
    """A card that a distributor has added."""

    card_id = UnicodeAttribute()
    """The payment provider's `pm_...`."""
    brand = UnicodeAttribute()
    last4 = UnicodeAttribute()
    exp_month = NumberAttribute()
    exp_year = NumberAttribute()
    removed_at = InstantAttribute(null=True)
    """Since when it is not to be used any more. It stays, so that what the provider tells of it late adds it to nothing."""


class Customer(Item, discriminator="customer"):
    """Whose customer that is, for what the payment provider tells."""

    distributor_id = UnicodeAttribute()


class Charge(Item, discriminator="charge"):
    """How far charging one bill to a card is. What is about to be done is written down before it is done.

    `state`: `waiting` (for its next attempt), `asked` (the provider was, or may have been, asked for the money: until
    the outcome is known nothing else is done about this bill's money), `succeeded`, `given_up` (every attempt failed),
    `stopped` (the bill was settled otherwise).
    """

    state = UnicodeAttribute()
    attempts = NumberAttribute(default=0)
    """How many were begun."""
    look_at = InstantAttribute(null=True)
    """When it has to be gone on with: the next attempt, or looking up what has become of the last one."""
    begun_at = InstantAttribute()
    """When the bill was issued, from which the attempts' days count."""
    asked_at = InstantAttribute(null=True)
    amount_minor = NumberAttribute(default=0)
    """Of the last attempt."""
    card_id = UnicodeAttribute(null=True)
    """Likewise."""
    intent_id = UnicodeAttribute(null=True)
    """The one payment intent that this bill ever has at the provider for charging a card."""
    last_charge_id = UnicodeAttribute(null=True)
    """The provider's id of the last attempt whose outcome is known."""
    failed_inside = NumberAttribute(default=0)
    """How often the provider has failed inside when it was asked for something: the next call gets another idempotency
    key, as that answer is kept under the old one.
    """
    failures = JsonAttribute(null=True)
    """`[{"on", "card", "code", "message"}, ...]`: what became of the attempts that failed."""

    @property
    def is_in_flight(self) -> bool:
        return bool(self.state == "asked")

    @property
    def bill_sk(self) -> str:
        """The sort key of its bill."""
        return keys.bill_of(self.pk)

    def due_key(self) -> tuple[str, str] | None:
        if self.look_at is None:
            return None
        return keys.by_due("charge", self.look_at, f"{self.node.distributor}/{self.bill_sk}")


class PaymentPage(Item, discriminator="payment-page"):
    """The provider's hosted page on which one bill can be paid: at most one that is open.

    `state`: `asked` (the provider is being asked for it), `open`, `processing` (paid on it, the money is not there
    yet), `paid`, `closed`.
    """

    state = UnicodeAttribute()
    number = NumberAttribute(default=1)
    """Counts the bill's pages."""
    amount_minor = NumberAttribute()
    asked_at = InstantAttribute()
    page_id = UnicodeAttribute(null=True)
    url = UnicodeAttribute(null=True)
    offered_until = InstantAttribute(null=True)
    look_at = InstantAttribute(null=True)
    """When it has to be looked up what has become of it, should the provider have told nobody; None once that is known."""

    @property
    def bill_sk(self) -> str:
        """The sort key of its bill."""
        return keys.bill_of(self.pk)

    def due_key(self) -> tuple[str, str] | None:
        if self.look_at is None:
            return None
        return keys.by_due("charge", self.look_at, f"{self.node.distributor}/{self.bill_sk}/page")


class CreditBalance(Item, discriminator="credit-balance"):
    """What a distributor has paid in excess: its next bills use it up. Minor units."""

    amount_minor = NumberAttribute(default=0)
    currency = UnicodeAttribute()


class ProviderEvent(Item, discriminator="provider-event"):
    """Something that the payment provider told, kept for a while: told again, it is known."""

    event_type = UnicodeAttribute()


def find_payer(scope: Scope, distributor: Node) -> Payer | None:
    """None until the distributor has added a card or opened a payment page."""
    return find(Payer, keys.node(scope.reach(distributor)), keys.PAYER)


def find_customer(customer_id: str) -> Customer | None:
    return find(Customer, *keys.customer(customer_id))


def list_cards(scope: Scope, distributor: Node) -> list[Card]:
    """The first that was added first; without those that were removed."""
    found = query(Card, keys.node(scope.reach(distributor)), keys.card())
    there = (card for card in found if card.removed_at is None)
    return sorted(there, key=lambda card: (card.created_at, card.card_id))


def find_known_card(scope: Scope, distributor: Node, card_id: str) -> Card | None:
    """One that was removed, too."""
    return find(Card, keys.node(scope.reach(distributor)), keys.card(card_id))


def find_card(scope: Scope, distributor: Node, card_id: str) -> Card | None:
    found = find_known_card(scope, distributor, card_id)
    return found if found is not None and found.removed_at is None else None


def get_card(scope: Scope, distributor: Node, card_id: str) -> Card:
    """Raises:
    NotFound: the distributor has no such card; another's is none of its.
    """
    found = find_card(scope, distributor, card_id)
    if found is None:
        raise NotFound
    return found


def find_charge(scope: Scope, bill: Bill) -> Charge | None:
    """None where the bill is not charged to a card."""
    return find(Charge, keys.bill_parts(scope.reach(bill.node), bill.sk), keys.CHARGE)


def find_page(scope: Scope, bill: Bill) -> PaymentPage | None:
    """None where nobody has asked for one yet."""
    return find(PaymentPage, keys.bill_parts(scope.reach(bill.node), bill.sk), keys.PAYMENT_PAGE)


def find_credit_balance(scope: Scope, distributor: Node) -> CreditBalance | None:
    """None until something was paid in excess."""
    return find(CreditBalance, keys.node(scope.reach(distributor)), keys.CREDIT_BALANCE)


def find_provider_event(event_id: str) -> ProviderEvent | None:
    return find(ProviderEvent, *keys.provider_event(event_id))
