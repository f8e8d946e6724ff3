"""The payment provider: customers, cards, charges and hosted payment pages, as Stripe's API has them.

Every call is made once: who calls decides what a missing answer means. Amounts are minor units of ISO 4217, whatever
the provider counts in: see `stripe_amounts`. The provider's own library does the talking; nothing of it is seen outside
of here.

Source: https://docs.stripe.com/api
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import orjson

from portal.adapters.secrets import payment_secrets
from portal.adapters.stripe_amounts import BANK_TRANSFERS, counted_here, counted_there
from portal.settings import settings

if TYPE_CHECKING:
    import stripe

_SECONDS = (3.0, 20.0)
"""To connect, and to wait for an answer."""
_NOT_OLDER_THAN = timedelta(minutes=5)
"""What was signed longer ago, or is to be signed later yet, is refused."""
_FEW = 100


class Unknown(Exception):
    """No answer, or one that leaves open whether the call had an effect: look it up before anything else."""


class Failed(Unknown):
    """The provider has failed inside. The same idempotency key gets this same answer for a day, whatever it has done."""


class Refused(Exception):
    """The provider does not do that, and has changed nothing: what was named is not there, or not in that state."""


class AmountRefused(Refused):
    """It takes no such amount: too small or too large, or none that can be charged in this currency."""


class NotLetIn(Exception):
    """The provider does not know the portal's API key, or does not let it do that: nothing that trying again would mend."""


class Declined(Exception):
    """The card was not charged. `code` is the provider's, `message` what it tells the payer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


class Forged(Exception):
    """The provider has not signed this, or not lately."""


@dataclass(frozen=True, slots=True)
class CardDetails:
    """What a card is recognized by."""

    card_id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    customer_id: str | None
    """Whose it is; None once it was detached."""


@dataclass(frozen=True, slots=True)
class SetUp:
    """A set-up intent: a card on its way from the payer's browser to the provider."""

    set_up_id: str
    status: str
    client_secret: str
    """With it the payer's browser, and nobody else, may complete it."""
    customer_id: str
    card_id: str | None


@dataclass(frozen=True, slots=True)
class Intent:
    """A payment intent. It succeeds once or never; `status` is the provider's."""

    intent_id: str
    status: str
    amount_minor: int
    received_minor: int
    arrived_minor: int
    """What has come of a bank transfer, also before it is all there."""
    currency: str
    customer_id: str | None
    charge_id: str | None
    """The last attempt to charge it, whatever became of it."""
    failure: tuple[str, str] | None
    """Code and message of the last attempt, if it failed."""
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """A hosted payment page. `status` is `open`, `complete` or `expired`; `payment_status` `paid` or `unpaid`."""

    page_id: str
    url: str | None
    status: str
    payment_status: str
    amount_minor: int
    currency: str
    intent_id: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """Something that the provider says has happened. What is true now has to be looked up."""

    event_id: str
    kind: str
    """E.g. `payment_intent.succeeded`."""
    object_kind: str
    object_id: str
    customer_id: str | None
    """Whose it is, or was until this happened."""
    metadata: Mapping[str, str]
    charge_id: str | None = None
    """Of which attempt to charge, where it is about one."""


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What of a charge that succeeded is no longer there, or may go."""

    intent_id: str | None
    refunded_minor: int
    disputed: bool


_P = ParamSpec("_P")
_T = TypeVar("_T")


def _call(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Raises:
    Refused, Unknown, NotLetIn: what became of the call.
    """

    @wraps(function)
    def called(*args: _P.args, **options: _P.kwargs) -> _T:
        with _told_apart():
            return function(*args, **options)

    return called


@contextmanager
def _told_apart() -> Iterator[None]:
    import stripe

    try:
        yield
    except stripe.CardError as error:
        raise Declined(
            error.code or "card_declined", error.user_message or "The card was declined."
        ) from None
    except stripe.IdempotencyError:
        # The same key with other values: the first call is another one than this.
        raise Unknown("idempotency") from None
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        raise NotLetIn(type(error).__name__) from None
    except stripe.InvalidRequestError as error:
        # A conflict is another call about the same object, which is still going on.
        if error.http_status in (409, 429):
            raise Unknown(str(error.http_status)) from None
        if error.code in ("amount_too_small", "amount_too_large"):
            raise AmountRefused(error.code) from None
        raise Refused(f"{error.http_status} {error.code or ''}".strip()) from None
    except stripe.StripeError as error:
        if (error.http_status or 0) >= 500:
            raise Failed(str(error.http_status)) from None
        raise Unknown(type(error).__name__) from None


def _amount(minor: int, currency: str) -> int:
    try:
        return counted_there(minor, currency)
    except ValueError as error:
        raise AmountRefused(str(error)) from None


@_call
def create_customer(distributor_id: str, name: str, email: str, key: str = "") -> str:
    """The id of the distributor's customer: the same one when repeated with the same `key` within a day, unless it was
    renamed meanwhile.
    """
    named = hashlib.sha256(f"{name} {email} {key}".encode()).hexdigest()
    made = _client().v1.customers.create(
        {"name": name, "email": email, "metadata": {"distributor_id": distributor_id}},
        {"idempotency_key": f"customer-{distributor_id}-{named}"},
    )
    return made.id


@_call
def create_set_up(customer_id: str, distributor_id: str, key: str) -> SetUp:
    """For one more card of this customer, to be charged later without the payer being there."""
    made = _client().v1.setup_intents.create(
        {
            "customer": customer_id,
            "allowed_payment_method_types": ["card"],
            "usage": "off_session",
            "metadata": {"distributor_id": distributor_id},
        },
        {"idempotency_key": f"set-up-{key}"},
    )
    return _set_up(made)


@_call
def get_set_up(set_up_id: str) -> SetUp:
    return _set_up(_client().v1.setup_intents.retrieve(set_up_id))


@_call
def get_card(card_id: str) -> CardDetails:
    found = _client().v1.payment_methods.retrieve(card_id)
    card = found.card
    if card is None:
        raise Refused("no card")
    return CardDetails(
        found.id, card.brand, card.last4, card.exp_month, card.exp_year, _id_of(found.customer)
    )


@_call
def list_cards(customer_id: str) -> list[CardDetails]:
    found = _client().v1.payment_methods.list({"customer": customer_id, "type": "card", "limit": _FEW})
    return [
        CardDetails(
            each.id,
            each.card.brand,
            each.card.last4,
            each.card.exp_month,
            each.card.exp_year,
            _id_of(each.customer),
        )
        for each in found.auto_paging_iter()
        if each.card is not None
    ]


@_call
def detach_card(card_id: str) -> None:
    """Whoever has detached it before: it is nobody's afterwards.

    Raises:
        Refused: it never was anybody's.
    """
    _client().v1.payment_methods.detach(card_id)


@_call
def find_intent(customer_id: str, reference: str, since: datetime) -> Intent | None:
    """The bill's intent for charging a card, if the provider has one, created `since` then: read from a list, which is
    complete at once, unlike a search.
    """
    found = _client().v1.payment_intents.list(
        {"customer": customer_id, "created": {"gte": int(since.timestamp())}, "limit": _FEW}
    )
    ours = (
        each
        for each in found.auto_paging_iter()
        if {"reference": reference, "paid_by": "credit_card"}.items() <= _metadata(each).items()
    )
    # The oldest, should there be two.
    intents = sorted(ours, key=lambda each: (each.created, each.id))
    return _intent(intents[0]) if intents else None


@_call
def list_intents(customer_id: str, since: datetime) -> list[Intent]:
    """All of a customer's, to be compared with what is stored."""
    found = _client().v1.payment_intents.list(
        {"customer": customer_id, "created": {"gte": int(since.timestamp())}, "limit": _FEW}
    )
    return [_intent(each) for each in found.auto_paging_iter()]


@_call
def create_intent(
    customer_id: str,
    reference: str,
    amount_minor: int,
    currency: str,
    metadata: Mapping[str, str],
    key: str | None = None,
) -> Intent:
    """The bill's one intent. Repeated within a day it is the same one: look for it before asking later than that, or by
    another `key` than the bill's reference.

    Raises:
        AmountRefused: there is none.
    """
    made = _client().v1.payment_intents.create(
        {
            "amount": _amount(amount_minor, currency),
            "currency": currency.lower(),
            "customer": customer_id,
            "allowed_payment_method_types": ["card"],
            "metadata": {**metadata, "reference": reference, "paid_by": "credit_card"},
        },
        {"idempotency_key": f"bill-{key or reference}"},
    )
    return _intent(made)


@_call
def get_intent(intent_id: str) -> Intent:
    return _intent(_client().v1.payment_intents.retrieve(intent_id))


@_call
def change_amount(intent_id: str, amount_minor: int, currency: str) -> Intent:
    """`currency` is the intent's, which it keeps.

    Raises:
        AmountRefused: it keeps its amount, too.
        Refused: it has succeeded or was cancelled.
    """
    amount = _amount(amount_minor, currency)
    return _intent(_client().v1.payment_intents.update(intent_id, {"amount": amount}))


@_call
def confirm_intent(intent_id: str, card_id: str, key: str) -> Intent:
    """Charge a card, without its owner being there.

    Raises:
        Declined: the card was not charged; the intent may be confirmed again.
    """
    confirmed = _client().v1.payment_intents.confirm(
        intent_id,
        {"payment_method": card_id, "off_session": True},
        {"idempotency_key": f"confirm-{key}"},
    )
    return _intent(confirmed)


@_call
def cancel_intent(intent_id: str) -> None:
    """Raises:
    Refused: it has succeeded, or was cancelled before.
    """
    _client().v1.payment_intents.cancel(intent_id)


@_call
def get_taken_back(charge_id: str) -> TakenBack:
    """What has become of a charge since it succeeded."""
    found = _client().v1.charges.retrieve(charge_id)
    return TakenBack(_id_of(found.payment_intent), int(found.amount_refunded), bool(found.disputed))


@_call
def is_left_over(customer_id: str, transaction_id: str) -> bool:
    """Whether a transaction of the customer's cash balance has brought a bank transfer of which something lies there still,
    for no payment.
    """
    cash = _client().v1.customers
    found = cash.cash_balance_transactions.retrieve(customer_id, transaction_id)
    if found.type not in ("funded", "unapplied_from_payment"):
        return False
    available = cash.cash_balance.retrieve(customer_id).available
    return available is not None and available.to_dict().get(found.currency, 0) > 0


@_call
def create_page(
    customer_id: str,
    reference: str,
    title: str,
    amount_minor: int,
    currency: str,
    *,
    kinds: list[str],
    back_to: str,
    expires_at: datetime,
    key: str,
    metadata: Mapping[str, str],
) -> Page:
    """A page on which a bill can be paid by these `kinds` (`card`, `paypal`, `customer_balance`), until it expires: 30
    minutes to 24 hours from now. `customer_balance` is a bank transfer, for currencies in `BANK_TRANSFERS`.

    Raises:
        AmountRefused: there is none.
    """
    told = {**metadata, "reference": reference, "paid_by": "payment_page"}
    asked: Any = {
        "mode": "payment",
        "customer": customer_id,
        "client_reference_id": reference,
        "allowed_payment_method_types": kinds,
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": currency.lower(),
                    "unit_amount": _amount(amount_minor, currency),
                    "product_data": {"name": title},
                },
            }
        ],
        "success_url": f"{back_to}?paid=yes",
        "cancel_url": back_to,
        "expires_at": int(expires_at.timestamp()),
        "metadata": told,
        "payment_intent_data": {"metadata": told},
    }
    if "customer_balance" in kinds:
        transfer: dict[str, Any] = {"type": BANK_TRANSFERS[currency]}
        if currency == "EUR":
            transfer["eu_bank_transfer"] = {"country": settings.eu_bank_transfer_country}
        asked["payment_method_options"] = {
            "customer_balance": {"funding_type": "bank_transfer", "bank_transfer": transfer}
        }
    return _page(_client().v1.checkout.sessions.create(asked, {"idempotency_key": f"page-{key}"}))


@_call
def get_page(page_id: str) -> Page:
    return _page(_client().v1.checkout.sessions.retrieve(page_id))


@_call
def list_open_pages(customer_id: str) -> list[Page]:
    found = _client().v1.checkout.sessions.list({"customer": customer_id, "status": "open", "limit": _FEW})
    return [_page(each) for each in found.auto_paging_iter()]


@_call
def close_page(page_id: str) -> Page:
    """Nobody can pay on it any more.

    Raises:
        Refused: it is not open: paid on, or expired.
    """
    return _page(_client().v1.checkout.sessions.expire(page_id))


def told(body: bytes, signature: str, now: datetime) -> Told:
    """What the provider tells, once it is sure that it does. Some things have no id, or tell nothing of what they are.

    Raises:
        Forged: the signature is not its, or of another time, or what was signed cannot be understood.
    """
    import stripe

    try:
        text = body.decode()
        # Its own check of the time goes by the machine's clock.
        stripe.WebhookSignature.verify_header(text, signature, payment_secrets().webhook_secret)
        signed_at = datetime.fromtimestamp(int(_timestamp(signature)), UTC)
        event = orjson.loads(text)
        about = event["data"]["object"]
        # A card that was just taken from a customer names none any more.
        customer = about.get("customer") or (event["data"].get("previous_attributes") or {}).get("customer")
        found = Told(
            event["id"],
            event["type"],
            about.get("object") or "",
            about.get("id") or "",
            customer["id"] if isinstance(customer, dict) else customer,
            about.get("metadata") or {},
            about.get("id") if about.get("object") == "charge" else about.get("charge"),
        )
    except (
        stripe.SignatureVerificationError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
    ):
        raise Forged from None
    if abs(now - signed_at) > _NOT_OLDER_THAN:
        raise Forged
    return found


def _timestamp(signature: str) -> str:
    return next(part[2:] for part in signature.split(",") if part.startswith("t="))


@cache
def _client() -> "stripe.StripeClient":
    import stripe

    stripe.enable_telemetry = False
    options: Any = {"base_addresses": {"api": settings.stripe_url}} if settings.stripe_url else {}
    return stripe.StripeClient(
        payment_secrets().api_key,
        http_client=stripe.RequestsClient(timeout=_SECONDS),
        # Whether to ask again is for those to decide who know what was asked.
        max_network_retries=0,
        **options,
    )


def _set_up(found: Any) -> SetUp:
    return SetUp(
        found.id,
        found.status,
        found.client_secret or "",
        _id_of(found.customer) or "",
        _id_of(found.payment_method),
    )


def _intent(found: Any) -> Intent:
    error, currency = found.last_payment_error, found.currency.upper()
    amount, received = int(found.amount), int(getattr(found, "amount_received", 0) or 0)
    told_to_transfer = getattr(
        getattr(found, "next_action", None), "display_bank_transfer_instructions", None
    )
    still_to_come = getattr(told_to_transfer, "amount_remaining", None)
    arrived = received if still_to_come is None else max(received, amount - int(still_to_come))
    return Intent(
        found.id,
        found.status,
        counted_here(amount, currency),
        counted_here(received, currency),
        counted_here(arrived, currency),
        currency,
        _id_of(found.customer),
        _id_of(found.latest_charge),
        (error.code or "card_declined", error.message or "") if error else None,
        _metadata(found),
    )


def _page(found: Any) -> Page:
    return Page(
        found.id,
        found.url,
        found.status,
        found.payment_status,
        counted_here(int(found.amount_total), found.currency.upper()),
        found.currency.upper(),
        _id_of(found.payment_intent),
        _metadata(found),
    )


def _id_of(reference: Any) -> str | None:
    """An object is named by its id, or stands there itself."""
    if reference is None or isinstance(reference, str):
        return reference
    found: str = reference.id
    return found


def _metadata(found: Any) -> dict[str, str]:
    """What the portal has said of an object."""
    return found.metadata.to_dict() if found.metadata else {}
