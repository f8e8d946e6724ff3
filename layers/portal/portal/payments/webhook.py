"""What the payment provider tells: noted once, and looked into afterwards. Nothing but the ids in it is believed."""

from datetime import datetime, timedelta

from portal import ids, keys
from portal.adapters import stripe
from portal.billing.records import Overtaken
from portal.errors import Invalid
from portal.journal import waiting
from portal.payments.records import ProviderEvent, find_provider_event
from portal.table import Put, Write, expiry

LOOKED_INTO = frozenset(
    {
        "payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.canceled",
        "payment_intent.processing", "payment_intent.partially_funded",
        "customer_cash_balance_transaction.created",
        "setup_intent.succeeded",
        "payment_method.attached", "payment_method.detached", "payment_method.updated",
        "payment_method.automatically_updated",
        "checkout.session.completed", "checkout.session.expired", "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "charge.refunded", "charge.dispute.created",
    }
)  # fmt: skip
"""Anything else that it tells changes nothing here."""

_SPOKEN_OF_AS = {
    "payment_intent.partially_funded": "transfer",
    "customer_cash_balance_transaction.created": "cash_balance",
}
"""What a kind of event is about, where that is not the kind of its object."""

_KEPT_FOR = timedelta(days=40)
"""It tells something again for days, if it was not answered."""


class ForgedWebhook(Invalid):
    detail = "This was not signed by the payment provider, or not lately."


def heard(body: bytes, signature: str, now: datetime) -> stripe.Told:
    """What the provider tells.

    Raises:
        ForgedWebhook: somebody else does, or it is an old one.
    """
    try:
        return stripe.told(body, signature, now)
    except stripe.Forged:
        raise ForgedWebhook from None


def noted(told: stripe.Told, at: datetime) -> list[Write]:
    """What is stored of it: that it was told, and that it has to be looked into; nothing when it was told before."""
    if told.kind not in LOOKED_INTO or not told.object_id or find_provider_event(told.event_id) is not None:
        return []
    pk, sk = keys.provider_event(told.event_id)
    body = {
        "kind": "told",
        "about": _SPOKEN_OF_AS.get(told.kind, told.object_kind),
        "id": told.object_id,
        "customer_id": told.customer_id,
        "distributor_id": told.metadata.get("distributor_id"),
        "bill_sk": told.metadata.get("bill_sk"),
        "charge_id": told.charge_id,
        "event_id": told.event_id,
        "told_at": at.isoformat(),
    }
    event = ProviderEvent(pk, sk, event_type=told.kind, created_at=at, expires_at=expiry(at + _KEPT_FOR))
    key = pk, keys.outbox(ids.new("out", at))
    return [Put(event, taken=Overtaken), Put(waiting(key, "Payments", body, at))]
