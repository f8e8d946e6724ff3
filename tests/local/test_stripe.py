"""The simulated payment provider, as the portal's own adapter sees it over HTTP, and as a payer's browser does."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from aiohttp import web
from localstripe import resources, webhooks

from local import cloud
from local import stripe as local_stripe
from local.stripe_objects import PAGES
from portal.adapters import secrets, stripe

DECLINED, ASKING = "4000000000000341", "4000002500003155"


class Provider:
    """It listens on a free port of this machine; `told` is what it would tell the portal."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.loop = asyncio.new_event_loop()
        self.port: Future[int] = Future()

    def run(self) -> None:
        self.loop.run_until_complete(self._listen())
        self.loop.run_forever()

    async def _listen(self) -> None:
        runner = web.AppRunner(local_stripe.app())
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port.set_result(runner.addresses[0][1])

    async def tell(self, event: Any) -> None:
        self.told.append((event.type, event._export()))


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Provider]:
    made = Provider()
    monkeypatch.setattr(local_stripe, "STORE", tmp_path / "stripe")
    monkeypatch.setattr(resources.Store, "dump_to_disk", local_stripe.keep)
    monkeypatch.setattr(webhooks, "_send_webhook", made.tell)
    thread = threading.Thread(target=made.run)
    thread.start()
    address = f"http://127.0.0.1:{made.port.result()}"
    monkeypatch.setattr(cloud, "STRIPE", address)
    monkeypatch.setitem(PAGES, "address", f"{address}/pay")
    monkeypatch.setattr(secrets, "_secret", lambda arn: b'{"api_key": "sk_test_a", "webhook_secret": "w"}')
    monkeypatch.setattr(stripe, "settings", _Settings(address))
    stripe._client.cache_clear()
    yield made
    made.loop.call_soon_threadsafe(made.loop.stop)
    thread.join()
    stripe._client.cache_clear()
    resources.store.clear()


class _Settings:
    def __init__(self, stripe_url: str) -> None:
        self.stripe_url, self.eu_bank_transfer_country = stripe_url, "NL"


def a_card(customer: str, number: str = local_stripe.GOOD_CARD) -> str:
    return local_stripe.add_card(stripe.create_set_up(customer, "dst_1", number).client_secret, number)


def page_for(customer: str, reference: str, kinds: list[str], currency: str = "USD") -> stripe.Page:
    return stripe.create_page(
        customer,
        reference,
        f"Bill {reference}",
        200_000,
        currency,
        kinds=kinds,
        back_to="https://portal.example.com",
        expires_at=datetime.now(UTC) + timedelta(hours=12),
        key=f"{reference}-1",
        metadata={"distributor_id": "dst_1"},
    )


def test_cards_are_set_up_listed_and_detached(provider: Provider) -> None:
    customer = stripe.create_customer("dst_1", "North", "office@north.example.com")
    assert stripe.create_customer("dst_1", "North", "office@north.example.com") == customer
    begun = stripe.create_set_up(customer, "dst_1", "a")
    assert stripe.create_set_up(customer, "dst_1", "a") == begun
    card = local_stripe.add_card(begun.client_secret)
    with pytest.raises(cloud.Trouble, match="succeeded"):
        local_stripe.add_card(begun.client_secret)
    assert (stripe.get_set_up(begun.set_up_id).card_id, stripe.get_card(card).last4) == (card, "4242")
    assert [each.card_id for each in stripe.list_cards(customer)] == [card]
    stripe.detach_card(card)
    with pytest.raises(stripe.Refused):
        stripe.detach_card(card)
    assert (stripe.list_cards(customer), stripe.get_card(card).customer_id) == ([], None)
    told = {kind: event["data"] for kind, event in provider.told}
    assert told["setup_intent.succeeded"]["object"]["customer"] == customer
    assert told["payment_method.detached"]["previous_attributes"] == {"customer": customer}


def test_an_intent_is_declined_tried_again_and_succeeds_once(provider: Provider) -> None:
    customer = stripe.create_customer("dst_1", "North", "office@north.example.com")
    made = stripe.create_intent(customer, "10001", 842, "USD", {"distributor_id": "dst_1"})
    since = datetime.now(UTC) - timedelta(hours=1)
    assert stripe.find_intent(customer, "10001", since) == made
    assert stripe.find_intent(customer, "10001", since + timedelta(hours=2)) is None
    with pytest.raises(stripe.Unknown):
        stripe.create_intent(customer, "10001", 843, "USD", {"distributor_id": "dst_1"})
    charges = set()
    for number, code in ((DECLINED, "card_declined"), (ASKING, "authentication_required")):
        card = a_card(customer, number)
        for _ in range(2):
            with pytest.raises(stripe.Declined) as declined:
                stripe.confirm_intent(made.intent_id, card, number)
            assert declined.value.code == code
        found = stripe.get_intent(made.intent_id)
        assert (found.status, found.failure and found.failure[0]) == ("requires_payment_method", code)
        charges.add(found.charge_id)
    assert len(charges) == 2
    good = a_card(customer)
    assert stripe.change_amount(made.intent_id, 900, "USD").amount_minor == 900
    paid = stripe.confirm_intent(made.intent_id, good, "good")
    assert (paid.status, paid.received_minor) == ("succeeded", 900)
    for again in (lambda: stripe.confirm_intent(made.intent_id, good, "again"),
                  lambda: stripe.change_amount(made.intent_id, 1, "USD")):  # fmt: skip
        with pytest.raises(stripe.Refused):
            again()
    assert [kind for kind, _ in provider.told if "payment_intent" in kind] == [
        "payment_intent.payment_failed",
        "payment_intent.payment_failed",
        "payment_intent.succeeded",
    ]


def test_a_page_is_paid_on_once_or_closed(provider: Provider) -> None:
    customer = stripe.create_customer("dst_1", "North", "office@north.example.com")
    page = page_for(customer, "10001", ["card", "paypal"])
    assert [each.page_id for each in stripe.list_open_pages(customer)] == [page.page_id]
    assert "Bill 10001" in requests.get(page.url or "", timeout=10).text
    refused = requests.post(page.url or "", data={"card": DECLINED}, timeout=10)
    assert (refused.status_code, "declined" in refused.text) == (402, True)
    assert requests.post(page.url or "", data={"kind": "customer_balance"}, timeout=10).status_code == 402
    assert requests.post(page.url or "", data={}, timeout=10).status_code == 200
    assert requests.post(page.url or "", data={}, timeout=10).status_code == 402
    paid = stripe.get_page(page.page_id)
    assert (paid.status, paid.payment_status) == ("complete", "paid")
    assert stripe.get_intent(paid.intent_id or "").metadata["reference"] == "10001"
    with pytest.raises(stripe.Refused):
        stripe.close_page(page.page_id)
    closed = stripe.close_page(page_for(customer, "10002", ["card"]).page_id)
    assert (closed.status, stripe.list_open_pages(customer)) == ("expired", [])


def test_a_bank_transfer_is_announced_first_and_arrives_later(provider: Provider) -> None:
    customer = stripe.create_customer("dst_1", "North", "office@north.example.com")
    page = page_for(customer, "10001", ["card", "customer_balance"])
    requests.post(page.url or "", data={"kind": "customer_balance"}, timeout=10)
    announced = stripe.get_page(page.page_id)
    requests.post(page.url or "", data={"arrived": "yes", "amount": "50000"}, timeout=10)
    part = stripe.get_intent(announced.intent_id or "")
    assert (part.status, part.received_minor, part.arrived_minor) == ("requires_action", 0, 50_000)
    assert (announced.status, announced.payment_status) == ("complete", "unpaid")
    assert stripe.get_intent(announced.intent_id or "").status == "requires_action"
    requests.post(page.url or "", data={"arrived": "yes"}, timeout=10)
    assert stripe.get_page(page.page_id).payment_status == "paid"
    told = [kind for kind, _ in provider.told if kind.startswith("checkout")]
    assert told == ["checkout.session.completed", "checkout.session.async_payment_succeeded"]


def test_bank_transfers_are_called_as_the_real_one_calls_them(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = stripe.create_customer("dst_1", "North", "office@north.example.com")
    for number, currency in enumerate(stripe.BANK_TRANSFERS):
        assert page_for(customer, str(number), ["customer_balance"], currency).status == "open"
    monkeypatch.setitem(stripe.BANK_TRANSFERS, "USD", "usd_bank_transfer")
    with pytest.raises(stripe.Refused):
        page_for(customer, "10001", ["customer_balance"])


def test_what_it_stores_survives_and_strangers_are_not_let_in(provider: Provider) -> None:
    customer = stripe.create_customer("dst_1", "North", "office@north.example.com")
    before = dict(resources.store)
    resources.store.clear()
    local_stripe.restore()
    assert set(resources.store) == set(before)
    assert stripe.create_customer("dst_1", "North", "office@north.example.com") == customer
    assert requests.get(f"{cloud.STRIPE}/v1/customers/{customer}", timeout=10).status_code == 401
