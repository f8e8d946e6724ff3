"""What is told is noted once, if the provider has signed it; forgeries are in `test_charging_faults.py`."""

from datetime import timedelta

import pytest

from portal import keys
from portal.payments.records import find_provider_event
from portal.payments.webhook import LOOKED_INTO
from portal.table import list_sort_keys
from tests.payers import tell
from tests.support import FakeStripe
from tests.world import World


@pytest.fixture
def told(stripe: FakeStripe) -> dict[str, object]:
    stripe.make_card(stripe.make_customer("dst_north"))
    return stripe.events[-1]


def test_what_is_told_is_handed_on_once(world: World, stripe: FakeStripe, told: dict[str, object]) -> None:
    for _ in range(3):
        answer = tell(world, stripe, told)
        assert (answer.status, answer.text) == (204, "")
        world.advance(hours=1)

    world.stream("notifications.deliver_outbox")
    (message,) = world.messages("Payments")
    assert {
        "kind": "told",
        "about": "payment_method",
        "id": "pm_000002",
        "customer_id": "cus_000001",
        "event_id": "evt_000001",
        "charge_id": None,
    }.items() <= message.items()
    event = find_provider_event("evt_000001")
    assert event is not None and event.event_type == "payment_method.attached"
    assert event.expires_at - event.created_at.timestamp() == timedelta(days=40).total_seconds()
    assert len(list(list_sort_keys(keys.provider_event("evt_000001")[0]))) == 2


def test_what_changes_nothing_here_is_not_kept(
    world: World, stripe: FakeStripe, told: dict[str, object]
) -> None:
    for number, kind in enumerate(("customer.updated", "payment_intent.created", "charge.succeeded")):
        event = {**told, "id": f"evt_other_{number}", "type": kind}
        assert kind not in LOOKED_INTO
        assert tell(world, stripe, event).status == 204
        assert find_provider_event(f"evt_other_{number}") is None


def test_what_is_genuine_and_unheard_of_is_no_forgery(
    world: World, stripe: FakeStripe, told: dict[str, object]
) -> None:
    abouts: list[dict[str, object]] = [{"object": "balance", "available": []}, {}, {"id": "x_1"}]
    for number, about in enumerate(abouts):
        for kind in ("balance.available", "payment_intent.succeeded"):
            if "id" in about and kind in LOOKED_INTO:
                continue
            event = {**told, "id": f"evt_odd_{number}", "type": kind, "data": {"object": about}}
            assert tell(world, stripe, event).status == 204
            assert find_provider_event(f"evt_odd_{number}") is None


def test_the_body_is_taken_as_it_was_signed(
    world: World, stripe: FakeStripe, told: dict[str, object]
) -> None:
    """Base64 is how API Gateway hands on what it takes for binary."""
    import base64

    body, signature = stripe.signed(told)
    event = {
        "httpMethod": "POST",
        "path": "/v1/webhooks/stripe",
        "headers": {"content-type": "application/json; charset=utf-8", "stripe-signature": signature},
        "body": base64.b64encode(body.encode()).decode(),
        "isBase64Encoded": True,
        "requestContext": {"requestId": "req-1", "identity": {"sourceIp": "198.51.100.7"}},
    }
    assert world.invoke("payments.take_provider_event", event)["statusCode"] == 204
    assert find_provider_event("evt_000001") is not None
    broken = {**event, "body": "not base64!"}
    assert world.invoke("payments.take_provider_event", broken)["statusCode"] == 400
