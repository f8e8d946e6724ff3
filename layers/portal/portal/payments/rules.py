"""The states of charging a bill to a card, and the days on which it is tried.

    waiting -> asked               an attempt: the provider is asked for the money, or may have been
    asked -> succeeded             the money is there
    asked -> waiting | given_up    it was declined: tried again another day, or that was the last time; at once, if another
                                   card was made the active one meanwhile; never, if it was the amount that was refused
    waiting -> waiting | given_up  there is no card that could be charged: a failed attempt too
    waiting | given_up -> stopped  the bill was settled otherwise
    given_up -> waiting            another card was made the active one

Whatever the state, money that the provider has taken ends as `succeeded`.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from portal.change import Change

if TYPE_CHECKING:
    from portal.payments.records import Charge

TRIED_AFTER_DAYS = (0, 1, 3, 5, 7)
"""Days after the bill was issued on which its card is charged, until that succeeds."""
LOOKED_UP_AFTER = timedelta(minutes=10)
"""How long after it was asked the provider is asked what has become of it, where it has not said so itself."""

NO_CARD = "no_card"
CANCELED = "canceled"
"""The intent was cancelled at the provider: what was cancelled cannot be tried again."""
AMOUNT_REFUSED = "amount_refused"
"""The provider does not take such an amount: no card changes that."""


def begun(at: datetime) -> dict[str, Any]:
    """A new charge of a bill that is issued at that instant."""
    return {"state": "waiting", "begun_at": at, "look_at": at}


def next_attempt(begun_at: datetime, now: datetime) -> datetime | None:
    """When a charge that has failed now is tried again. Days that were missed are not made up for."""
    days = (begun_at + timedelta(days=days) for days in TRIED_AFTER_DAYS)
    return next((at for at in days if at > now), None)


def is_due(charge: "Charge", now: datetime) -> bool:
    """Whether it is time for the next attempt."""
    return charge.state == "waiting" and charge.look_at is not None and charge.look_at <= now


def asked(charge: "Charge", amount_minor: int, card_id: str, now: datetime) -> Change:
    """The next attempt is about to begin."""
    return Change(
        state="asked",
        attempts=int(charge.attempts) + 1,
        amount_minor=amount_minor,
        card_id=card_id,
        asked_at=now,
        look_at=now + LOOKED_UP_AFTER,
    )


def failed(
    charge: "Charge",
    code: str,
    message: str,
    last_charge_id: str | None,
    now: datetime,
    *,
    active_card_id: str | None = None,
) -> Change:
    """The attempt that was asked for has failed, and the provider calls it by that charge id.

    `active_card_id` is what bills are charged to by now: a card that this was not tried with is tried at once.
    """
    anew = active_card_id not in (None, charge.card_id)
    again = Change(state="waiting", look_at=now) if anew else _tried_again(charge, now)
    return again | Change(
        last_charge_id=last_charge_id,
        failures=[*(charge.failures or ()), _failure(charge.card_id, code, message, now)],
    )


def not_asked(charge: "Charge", now: datetime) -> Change:
    """An attempt that fails before it begins: the distributor has no active card."""
    return _tried_again(charge, now) | Change(
        attempts=int(charge.attempts) + 1,
        card_id=None,
        failures=[*(charge.failures or ()), _failure(None, NO_CARD, "There is no active card.", now)],
    )


def _tried_again(charge: "Charge", now: datetime) -> Change:
    at = next_attempt(charge.begun_at, now)
    return Change(state="waiting" if at else "given_up", look_at=at)


def _failure(card_id: str | None, code: str, message: str, now: datetime) -> dict[str, Any]:
    return {"on": now.date().isoformat(), "card": card_id, "code": code, "message": message}


def canceled(charge: "Charge", now: datetime) -> Change:
    """Somebody has cancelled the intent at the provider: this bill's card is not charged any more."""
    failure = _failure(charge.card_id, CANCELED, "The payment was canceled.", now)
    return Change(state="given_up", look_at=None, failures=[*(charge.failures or ()), failure])


def amount_refused(charge: "Charge", now: datetime) -> Change:
    """The provider does not take what is owed, whatever the card: it is not tried any more."""
    message = "The payment provider does not take an amount like this one by card; pay by bank transfer."
    failure = _failure(charge.card_id, AMOUNT_REFUSED, message, now)
    return Change(state="given_up", look_at=None, failures=[*(charge.failures or ()), failure])


def succeeded(intent_id: str, last_charge_id: str | None) -> Change:
    """The provider has taken the money."""
    return Change(state="succeeded", look_at=None, intent_id=intent_id, last_charge_id=last_charge_id)


def stopped() -> Change:
    """Nothing is owed on the bill any more."""
    return Change(state="stopped", look_at=None)


def tried_now(charge: "Charge", now: datetime) -> Change:
    """Another card was made the active one: a charge that has failed is due at once, unless any card would fail. Nothing for
    any other.
    """
    if charge.state not in ("waiting", "given_up") or not charge.failures:
        return Change()
    if charge.state == "given_up" and charge.failures[-1].get("code") == AMOUNT_REFUSED:
        return Change()
    return Change(state="waiting", look_at=now)
