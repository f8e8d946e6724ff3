"""The fake payment provider has the real one's manners, the bad ones too."""

from datetime import timedelta

import pytest

from portal.adapters import stripe as provider
from tests.support import FakeStripe
from tests.world import World

ABOUT = {"distributor_id": "dst_north", "bill_sk": "BILL"}


@pytest.fixture
def customer(world: World, stripe: FakeStripe) -> str:
    return provider.create_customer("dst_north", "North", "office@north.example.com")


def test_what_is_known_under_a_key_is_forgotten_after_a_day(
    world: World, stripe: FakeStripe, customer: str
) -> None:
    first = provider.create_intent(customer, "10001", 500, "USD", ABOUT)

    world.advance(hours=23, minutes=59, seconds=59)
    assert provider.create_intent(customer, "10001", 500, "USD", ABOUT) == first
    with pytest.raises(provider.Unknown, match="idempotency"):
        provider.create_intent(customer, "10001", 501, "USD", ABOUT)

    world.advance(seconds=1)
    second = provider.create_intent(customer, "10001", 501, "USD", ABOUT)
    assert second.intent_id != first.intent_id
    assert [each["id"] for each in stripe.intents("10001")] == [first.intent_id, second.intent_id]
    assert provider.find_intent(customer, "10001", world.now - timedelta(days=2)) == first
    assert provider.find_intent(customer, "10001", world.now) == second


def test_a_declined_intent_may_be_confirmed_with_another_card_and_succeeds_once(
    world: World, stripe: FakeStripe, customer: str
) -> None:
    bad, good = stripe.make_card(customer, "insufficient_funds"), stripe.make_card(customer)
    intent = provider.create_intent(customer, "10001", 500, "USD", ABOUT)

    with pytest.raises(provider.Declined) as declined:
        provider.confirm_intent(intent.intent_id, bad, "1")
    assert (declined.value.code, declined.value.message) == (
        "card_declined",
        "Your card has insufficient funds.",
    )
    found = provider.get_intent(intent.intent_id)
    assert (found.status, found.failure) == (
        "requires_payment_method",
        ("card_declined", "Your card has insufficient funds."),
    )

    provider.change_amount(intent.intent_id, 400, "USD")
    paid = provider.confirm_intent(intent.intent_id, good, "2")
    assert (paid.status, paid.received_minor, stripe.charged("10001")) == ("succeeded", 400, 400)
    # The answer under the first key stays what it was.
    with pytest.raises(provider.Declined):
        provider.confirm_intent(intent.intent_id, bad, "1")
    for too_late in (
        lambda: provider.confirm_intent(intent.intent_id, good, "3"),
        lambda: provider.change_amount(intent.intent_id, 500, "USD"),
        lambda: provider.cancel_intent(intent.intent_id),
    ):
        with pytest.raises(provider.Refused):
            too_late()
    assert stripe.charged("10001") == 400


def test_a_slow_card_is_settled_later(world: World, stripe: FakeStripe, customer: str) -> None:
    card = stripe.make_card(customer, "processing")
    intent = provider.create_intent(customer, "10001", 500, "USD", ABOUT)

    assert provider.confirm_intent(intent.intent_id, card, "1").status == "processing"
    assert stripe.charged("10001") == 0
    stripe.settle(intent.intent_id)

    assert provider.get_intent(intent.intent_id).received_minor == 500
    assert stripe.events[-1]["type"] == "payment_intent.succeeded"


def test_a_list_is_whole_though_it_comes_in_pages(world: World, stripe: FakeStripe, customer: str) -> None:
    for number in range(105):
        provider.create_intent(customer, str(number), 500, "USD", ABOUT)

    assert len(provider.list_intents(customer, world.now)) == 105
    found = provider.find_intent(customer, "0", world.now)
    assert found is not None and found.metadata["reference"] == "0"
    assert provider.find_intent(customer, "105", world.now) is None


def test_a_page_is_paid_closed_or_expires(world: World, stripe: FakeStripe, customer: str) -> None:
    def a_page(reference: str) -> provider.Page:
        return provider.create_page(
            customer,
            reference,
            "Bill",
            500,
            "USD",
            kinds=["card", "customer_balance"],
            back_to="https://portal.example.com/",
            expires_at=world.now + timedelta(hours=1),
            key=reference,
            metadata=ABOUT,
        )

    by_card, by_transfer, closed, expired = (a_page(reference) for reference in "abcd")
    assert by_card.url == f"https://checkout.stripe.com/c/pay/{by_card.page_id}"
    stripe.pay(by_card.page_id)
    stripe.pay(by_transfer.page_id, "customer_balance")
    assert provider.close_page(closed.page_id).status == "expired"
    assert [page.page_id for page in provider.list_open_pages(customer)] == [expired.page_id]
    world.advance(hours=1)

    pages = [provider.get_page(page.page_id) for page in (by_card, by_transfer, closed, expired)]
    assert [(page.status, page.payment_status) for page in pages] == [
        ("complete", "paid"),
        ("complete", "unpaid"),
        ("expired", "unpaid"),
        ("expired", "unpaid"),
    ]
    with pytest.raises(provider.Refused):
        provider.close_page(by_card.page_id)
    transfer = provider.get_intent(pages[1].intent_id or "")
    assert (transfer.status, transfer.arrived_minor) == ("requires_action", 0)
    stripe.transfer(transfer.intent_id, 200)
    part = provider.get_intent(transfer.intent_id)
    assert (part.status, part.received_minor, part.arrived_minor) == ("requires_action", 0, 200)
    stripe.transfer(transfer.intent_id, 400)
    [*_, more] = stripe.all("customer_cash_balance_transaction")[:-1]
    assert (more["net_amount"], stripe.get(customer)["cash"]) == (400, {"usd": 100})
    assert provider.is_left_over(customer, more["id"])
    assert provider.get_page(by_transfer.page_id).payment_status == "paid"
    assert [stripe.charged(reference) for reference in "abcd"] == [500, 500, 0, 0]


def test_what_it_tells_is_signed(world: World, stripe: FakeStripe, customer: str) -> None:
    set_up = provider.create_set_up(customer, "dst_north", "1")
    card_id = stripe.complete(set_up.set_up_id)
    body, signature = stripe.signed(stripe.events[-1])

    told = provider.told(body.encode(), signature, world.now)
    assert (told.kind, told.object_id, told.customer_id) == (
        "setup_intent.succeeded",
        set_up.set_up_id,
        customer,
    )
    assert [card.card_id for card in provider.list_cards(customer)] == [card_id]
    with pytest.raises(provider.Forged):
        provider.told(body.encode(), signature, world.now + timedelta(minutes=5, seconds=1))
    with pytest.raises(provider.Forged):
        provider.told(body.encode() + b" ", signature, world.now)


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_has_failed_inside_fails_for_a_day_under_its_key(
    world: World, stripe: FakeStripe, customer: str, when: str
) -> None:
    stripe.fail_inside(when)
    for _ in range(2):
        with pytest.raises(provider.Failed):
            provider.create_intent(customer, "10001", 500, "USD", ABOUT)
    assert len(stripe.intents("10001")) == (when == "after")
    assert provider.create_intent(customer, "10001", 500, "USD", ABOUT, "10001-again-1").status
    world.advance(hours=25)
    assert provider.create_intent(customer, "10001", 500, "USD", ABOUT).status


@pytest.mark.parametrize(
    ("currency", "minor", "there"),
    [
        ("USD", 500, 500), ("JPY", 500, 500), ("HUF", 50_000, 50_000), ("ISK", 500, 50_000), ("UGX", 3000, 300_000),
        ("MGA", 300_000, 3000), ("KWD", 5120, 5120),
    ],
)  # fmt: skip
def test_amounts_are_what_the_provider_takes_them_for(
    world: World, stripe: FakeStripe, customer: str, currency: str, minor: int, there: int
) -> None:
    made = provider.create_intent(customer, "10001", minor, currency, ABOUT)
    [intent] = stripe.intents("10001")
    assert (made.amount_minor, int(intent["amount"]), intent["currency"]) == (minor, there, currency.lower())
    changed = provider.change_amount(made.intent_id, 2 * minor, currency)
    assert (changed.amount_minor, int(intent["amount"])) == (2 * minor, 2 * there)
    paid = provider.confirm_intent(made.intent_id, stripe.make_card(customer), "1")
    assert (paid.received_minor, stripe.charged("10001")) == (2 * minor, 2 * there)


@pytest.mark.parametrize(
    ("currency", "minor"), [("MGA", 300_001), ("KWD", 5124), ("GBP", 29), ("HUF", 17_000)]
)
def test_amounts_that_cannot_be_charged_are_refused(
    world: World, stripe: FakeStripe, customer: str, currency: str, minor: int
) -> None:
    with pytest.raises(provider.AmountRefused):
        provider.create_intent(customer, "10001", minor, currency, ABOUT)
    made = provider.create_intent(customer, "10001", 1_000_000, currency, ABOUT, "other")
    with pytest.raises(provider.AmountRefused):
        provider.change_amount(made.intent_id, minor, currency)
    assert provider.get_intent(made.intent_id).amount_minor == 1_000_000
