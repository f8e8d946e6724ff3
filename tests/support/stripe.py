"""The payment provider, as far as the portal talks to it, with the real one's bad manners.

It answers at `api.stripe.com` through the harness and is rewound with everything else. What is known under an
idempotency key is forgotten after 24 hours; until then a call that is repeated gets the very answer of the first, however
stale, be it that the provider has failed inside, and one with other values an error. An intent succeeds once or never, a
declined one may be confirmed again with another card, and a list has the newest first, ten of them unless asked for more.
A bank transfer that was announced waits for all of the money (`transfer`), however it comes.

What people do in their browsers, and the provider by itself, are methods: `complete`, `pay`, `settle`, `refund` ...
"""

import copy
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from .clock import FakeClock

API_KEY = "sk_test_portal"
WEBHOOK_SECRET = "whsec_test_portal"
_KEYS_KEPT_FOR = timedelta(hours=24)
_SMALLEST = {
    "usd": 50, "aed": 200, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30,
    "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200,
    "ron": 200, "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip
"""Less is not charged, by currency; in others 50 of its units."""
_MULTIPLES_OF = {"isk": 100, "ugx": 100, "bhd": 10, "jod": 10, "kwd": 10, "omr": 10, "tnd": 10}
_BANK_TRANSFERS = {
    "usd": "us_bank_transfer", "eur": "eu_bank_transfer", "gbp": "gb_bank_transfer", "jpy": "jp_bank_transfer",
    "mxn": "mx_bank_transfer",
}  # fmt: skip

Thing = dict[str, Any]

DECLINES = {
    "declined": ("card_declined", "generic_decline", "Your card was declined."),
    "insufficient_funds": ("card_declined", "insufficient_funds", "Your card has insufficient funds."),
    "expired": ("expired_card", "expired_card", "Your card has expired."),
    "authentication_required": (
        "authentication_required",
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
    ),
}
"""How a card may behave instead of `ok`, `processing` (the outcome follows: `settle`): code, decline code, message."""

_TAKEN = {
    "POST customers": {"name", "email", "metadata"},
    "POST setup_intents": {"customer", "allowed_payment_method_types", "usage", "metadata"},
    "POST payment_intents": {"amount", "currency", "customer", "allowed_payment_method_types", "metadata"},
    "POST payment_intents/": {"amount", "metadata"},
    "POST payment_intents/confirm": {"payment_method", "off_session"},
    "POST payment_intents/cancel": {"cancellation_reason"},
    "POST payment_methods/attach": {"customer"},
    "POST checkout/sessions": {
        "mode", "customer", "client_reference_id", "allowed_payment_method_types", "line_items", "success_url",
        "cancel_url", "expires_at", "metadata", "payment_intent_data", "payment_method_options",
    },
    "GET payment_intents": {"customer", "created", "limit", "starting_after"},
    "GET payment_methods": {"customer", "type", "limit", "starting_after"},
    "GET checkout/sessions": {"customer", "status", "limit", "starting_after"},
}  # fmt: skip
"""The parameters of each call; others are refused, as the provider does."""


class _Error(Exception):
    def __init__(self, status: int, type: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error: Thing = {"type": type, "message": message} | more


def _invalid(message: str, code: str, status: int = 400) -> _Error:
    return _Error(status, "invalid_request_error", message, code=code)


def _unexpected(thing: Thing, wanted: str) -> _Error:
    message = f"This {thing['object']} could not be {wanted} because its status is {thing['status']}."
    return _invalid(message, f"{thing['object']}_unexpected_state")


class FakeStripe:
    """The provider. `events` is all that it would tell the portal's webhook, oldest first."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._things: dict[str, Thing] = {}
        """Every object by its id, in the order in which they were made."""
        self._behaviours: dict[str, str] = {}
        """How cards behave, by id."""
        self._answers: dict[str, tuple[int, str, int, bytes]] = {}
        """By idempotency key: when (epoch seconds), what was asked, and what was answered."""
        self._trouble: list[int] = []
        self._failing: list[str] = []
        """What the next calls with a key fail on inside: `before` or `after` they have had their effect."""
        self.events: list[Thing] = []
        self.broken: list[Exception] = []
        """What it failed on itself: the provider's library would take that for a broken connection."""

    # Rewinding

    def snapshot(self) -> Any:
        return copy.deepcopy(
            (self._things, self._behaviours, self._answers, self._trouble, self._failing, self.events)
        )

    def restore(self, state: Any) -> None:
        (self._things, self._behaviours, self._answers, self._trouble, self._failing, self.events) = (
            copy.deepcopy(state)
        )

    # What tests ask

    def all(self, kind: str) -> list[Thing]:
        """Every object of a kind (`payment_intent`, `checkout.session`, ...), oldest first."""
        return [thing for thing in self._things.values() if thing["object"] == kind]

    def get(self, thing_id: str) -> Thing:
        return self._things[thing_id]

    def intents(self, reference: str) -> list[Thing]:
        """The payment intents of the bill with this number, its payment pages' too, oldest first."""
        return [each for each in self.all("payment_intent") if each["metadata"].get("reference") == reference]

    def successes(self, reference: str) -> list[Thing]:
        """Those that have succeeded."""
        return [each for each in self.intents(reference) if each["status"] == "succeeded"]

    def charged(self, reference: str) -> int:
        """Minor units that were really taken for the bill with this number."""
        return sum(each["amount_received"] for each in self.successes(reference))

    # What people and the provider do

    def make_customer(self, distributor_id: str) -> str:
        """The id of a new customer."""
        made = self._create_customer({"metadata": {"distributor_id": distributor_id}})
        customer_id: str = made["id"]
        return customer_id

    def make_card(
        self, customer_id: str | None, behaviour: str = "ok", *, last4: str = "4242", brand: str = "visa"
    ) -> str:
        """The id of a new card; with a customer, attached to it."""
        card = self._make(
            "pm", "payment_method", type="card", customer=None,
            card={"brand": brand, "last4": last4, "exp_month": 12, "exp_year": 2030},
        )  # fmt: skip
        self._behaviours[card["id"]] = behaviour
        if customer_id:
            self._attach(card, customer_id)
        card_id: str = card["id"]
        return card_id

    def behave(self, card_id: str, behaviour: str) -> None:
        """From now on the card behaves like that."""
        self._behaviours[card_id] = behaviour

    def complete(self, set_up_id: str, behaviour: str = "ok", **card: Any) -> str:
        """Somebody types a card number into a set-up intent; the id of the card."""
        set_up = self._things[set_up_id]
        card_id = self.make_card(set_up["customer"], behaviour, **card)
        set_up |= {"status": "succeeded", "payment_method": card_id}
        self._tell("setup_intent.succeeded", set_up)
        return card_id

    def settle(self, intent_id: str, succeeds: bool = True) -> None:
        """The outcome of a payment that was processing."""
        intent = self._things[intent_id]
        if intent["status"] != "processing":
            raise ValueError(f"{intent_id} is {intent['status']}")
        self._end(intent, succeeds)

    def transfer(self, intent_id: str, amount: int) -> None:
        """Money arrives by bank transfer: for what was announced if that is still waited for, as far as it goes; what is
        left lies in the customer's cash balance.
        """
        intent = self._things[intent_id]
        customer, currency = self._things[intent["customer"]], intent["currency"]
        cash = customer.setdefault("cash", {})
        cash[currency] = cash.get(currency, 0) + amount
        moved = {"customer": customer["id"], "currency": currency}
        funded = self._make(
            "ccsbtxn", "customer_cash_balance_transaction", type="funded", net_amount=amount, **moved
        )
        if intent["status"] == "requires_action":
            told = intent["next_action"]["display_bank_transfer_instructions"]
            used = min(amount, told["amount_remaining"])
            cash[currency] -= used
            told["amount_remaining"] -= used
            applied = {"type": "applied_to_payment", "net_amount": -used}
            self._make("ccsbtxn", "customer_cash_balance_transaction", **applied, **moved)
            if told["amount_remaining"]:
                self._tell("payment_intent.partially_funded", intent)
            else:
                self._end(intent, True)
        self._tell("customer_cash_balance_transaction.created", funded)

    def _end(self, intent: Thing, succeeds: bool) -> None:
        session = next((each for each in self._sessions() if each["payment_intent"] == intent["id"]), None)
        if succeeds:
            self._succeed(intent)
        else:
            self._fail(intent, "declined")
        if session:
            session["payment_status"] = "paid" if succeeds else "unpaid"
            outcome = "succeeded" if succeeds else "failed"
            self._tell(f"checkout.session.async_payment_{outcome}", session)

    def pay(self, page_id: str, kind: str = "card", behaviour: str = "ok") -> None:
        """Somebody pays on a page by `card`, `paypal` or `customer_balance`: a bank transfer, whose money comes later by
        `transfer`.
        """
        session = self._refreshed(self._things[page_id])
        if session["status"] != "open":
            raise ValueError(f"{page_id} is {session['status']}")
        if kind not in session["payment_method_types"]:
            raise ValueError(f"{page_id} does not take {kind}")
        intent = self._things.get(session["payment_intent"] or "") or self._make_intent(
            session["amount_total"], session["currency"], session["customer"], session["intent_metadata"]
        )
        session["payment_intent"] = intent["id"]
        if behaviour in DECLINES:
            return self._fail(intent, behaviour)
        session["status"] = "complete"
        if kind == "customer_balance":
            to_come = {"amount_remaining": intent["amount"], "currency": intent["currency"]}
            to_do = {
                "type": "display_bank_transfer_instructions",
                "display_bank_transfer_instructions": to_come,
            }
            intent |= {"status": "requires_action", "next_action": to_do}
            self._tell("payment_intent.requires_action", intent)
        elif behaviour == "processing":
            intent["status"] = "processing"
            self._tell("payment_intent.processing", intent)
        else:
            self._succeed(intent)
            session["payment_status"] = "paid"
        return self._tell("checkout.session.completed", session)

    def make_intent(self, amount: int, currency: str, customer_id: str, metadata: Mapping[str, str]) -> str:
        """The id of an intent that somebody makes in the dashboard."""
        intent_id: str = self._make_intent(amount, currency, customer_id, metadata)["id"]
        return intent_id

    def succeed(self, intent_id: str) -> None:
        """Somebody charges it in the dashboard."""
        self._succeed(self._things[intent_id])

    def refund(self, intent_id: str, amount: int | None = None) -> None:
        """Somebody gives money back in the provider's dashboard."""
        charge = self._things[self._things[intent_id]["latest_charge"]]
        charge["amount_refunded"] += amount or charge["amount"]
        self._tell("charge.refunded", charge)

    def dispute(self, intent_id: str) -> None:
        """The card's owner wants the money back from the bank."""
        charge = self._things[self._things[intent_id]["latest_charge"]]
        charge["disputed"] = True
        about = {"charge": charge["id"], "payment_intent": intent_id, "amount": charge["amount"]}
        self._tell("charge.dispute.created", self._make("dp", "dispute", **about, metadata={}))

    def cancel(self, intent_id: str) -> None:
        """Somebody cancels an intent in the dashboard."""
        self._cancel(self._things[intent_id], {})

    def answer_next(self, *statuses: int) -> None:
        """The next calls are answered with these statuses, and have no effect."""
        self._trouble += statuses

    def fail_inside(self, *when: str) -> None:
        """The next calls that have a key fail `before` or `after` their effect, and go on failing under that key."""
        self._failing += when

    def signed(
        self, event: Thing, at: datetime | None = None, secret: str = WEBHOOK_SECRET
    ) -> tuple[str, str]:
        """Body and `Stripe-Signature` header of a webhook, signed now or at another time."""
        body = json.dumps(event)
        stamp = int((at or self._clock()).timestamp())
        mac = hmac.new(secret.encode(), f"{stamp}.{body}".encode(), hashlib.sha256).hexdigest()
        return body, f"t={stamp},v1={mac}"

    # HTTP

    def __call__(self, request: requests.PreparedRequest) -> tuple[int, Mapping[str, str], bytes]:
        try:
            return self._answer(request)
        except Exception as error:
            self.broken.append(error)
            raise

    def _answer(self, request: requests.PreparedRequest) -> tuple[int, Mapping[str, str], bytes]:
        if request.headers.get("Authorization") != f"Bearer {API_KEY}":
            return _answered(_Error(401, "invalid_request_error", "Invalid API Key provided."))
        if self._trouble:
            return _answered(_Error(self._trouble.pop(0), "api_error", "Something went wrong on our end."))
        path = urlsplit(request.url or "").path.removeprefix("/v1/")
        sent = request.body or b"" if request.method == "POST" else urlsplit(request.url or "").query
        given = _nested(sent.decode() if isinstance(sent, bytes) else str(sent))
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        asked = f"{request.method} {path} {json.dumps(given, sort_keys=True)}"
        known = self._known(str(key)) if key else None
        if known and known[1] != asked:
            message = "Keys for idempotent requests can only be used with the same parameters."
            return _answered(_Error(400, "idempotency_error", message))
        if known:
            return known[2], {"Idempotent-Replayed": "true"}, known[3]
        failing = self._failing.pop(0) if key and self._failing else ""
        try:
            answer = (
                _FAILED
                if failing == "before"
                else _answered(self._carry_out(request.method or "", path, given))
            )
            answer = _FAILED if failing else answer
        except _Error as error:
            answer = _answered(error)
            if error.status == 404 or error.error.get("code", "").startswith("parameter_"):
                return answer
        if key:
            self._answers[str(key)] = (self._second(), asked, answer[0], answer[2])
        return answer

    def _known(self, key: str) -> tuple[int, str, int, bytes] | None:
        known = self._answers.get(key)
        if known and self._second() - known[0] >= _KEYS_KEPT_FOR.total_seconds():
            del self._answers[key]
            return None
        return known

    def _carry_out(self, method: str, path: str, given: Thing) -> Thing:
        parts = path.split("/")
        collection = parts.pop(0) if parts[0] != "checkout" else f"{parts.pop(0)}/{parts.pop(0)}"
        thing_id, verb = (*parts, "", "")[:2]
        name = f"{method} {collection}" + (f"/{verb}" if thing_id else "")
        if unknown := set(given) - _TAKEN.get(name, set()):
            raise _invalid(f"Received unknown parameters: {sorted(unknown)}", "parameter_unknown")
        if not thing_id:
            made: Callable[[Thing], Thing] = {
                "POST customers": self._create_customer,
                "POST setup_intents": self._create_set_up,
                "POST payment_intents": self._create_intent,
                "POST checkout/sessions": self._create_session,
                "GET payment_intents": lambda asked: self._list("payment_intent", asked),
                "GET payment_methods": lambda asked: self._list("payment_method", asked),
                "GET checkout/sessions": lambda asked: self._list("checkout.session", asked),
            }[name]
            return made(given)
        thing = self._things.get(thing_id)
        if thing is None or not _belongs(thing, collection):
            raise _invalid(f"No such object: '{thing_id}'", "resource_missing", 404)
        if verb == "cash_balance":
            return {"object": verb, "customer": thing_id, "available": thing.get("cash", {})}
        if verb == "cash_balance_transactions":
            found = self._things.get(parts[2], {})
            if found.get("object") != "customer_cash_balance_transaction" or found["customer"] != thing_id:
                raise _invalid(f"No such object: '{parts[2]}'", "resource_missing", 404)
            return found
        done: Callable[[Thing, Thing], Any] = {
            "GET": lambda found, asked: None,
            "POST payment_methods/attach": lambda card, asked: self._attach(card, asked["customer"]),
            "POST payment_methods/detach": self._detach,
            "POST payment_intents/": self._change,
            "POST payment_intents/confirm": self._confirm,
            "POST payment_intents/cancel": self._cancel,
            "POST checkout/sessions/expire": self._expire,
        }["GET" if method == "GET" else name]
        done(thing, given)
        return self._refreshed(thing)

    def _list(self, kind: str, asked: Thing) -> Thing:
        equal = {name: asked[name] for name in ("customer", "status", "type") if name in asked}
        since = int(asked.get("created", {}).get("gte", 0))
        found = [
            thing
            for thing in reversed(self.all(kind))
            if equal.items() <= self._refreshed(thing).items() and thing["created"] >= since
        ]
        found.sort(key=lambda thing: thing["created"], reverse=True)
        if after := asked.get("starting_after"):
            found = found[[thing["id"] for thing in found].index(after) + 1 :]
        limit = int(asked.get("limit", 10))
        if not 1 <= limit <= 100:
            raise _invalid("Invalid limit", "parameter_invalid_integer")
        path = {"payment_intent": "payment_intents", "payment_method": "payment_methods"}
        return {
            "object": "list",
            "url": f"/v1/{path.get(kind, 'checkout/sessions')}",
            "has_more": len(found) > limit,
            "data": found[:limit],
        }

    # Customers, cards, set-up intents

    def _create_customer(self, given: Thing) -> Thing:
        return self._make("cus", "customer", **{"metadata": {}} | given)

    def _create_set_up(self, given: Thing) -> Thing:
        self._check_customer(given["customer"])
        made = self._make(
            "seti", "setup_intent", customer=given["customer"], status="requires_payment_method",
            payment_method=None, metadata=given.get("metadata", {}),
        )  # fmt: skip
        made["client_secret"] = f"{made['id']}_secret_{made['id'][::-1]}"
        return made

    def _attach(self, card: Thing, customer_id: str) -> None:
        self._check_customer(customer_id)
        card["customer"] = customer_id
        self._tell("payment_method.attached", card)

    def _detach(self, card: Thing, given: Thing) -> None:
        if card["customer"] is None:
            raise _invalid(
                "The payment method you provided is not attached to a customer.", "resource_missing"
            )
        before = card["customer"]
        card["customer"] = None
        self._tell("payment_method.detached", card, previous={"customer": before})

    def _check_customer(self, customer_id: str) -> None:
        if self._things.get(customer_id, {}).get("object") != "customer":
            raise _invalid(f"No such customer: '{customer_id}'", "resource_missing")

    # Payment intents

    def _create_intent(self, given: Thing) -> Thing:
        self._check_customer(given["customer"])
        _check_amount(given["amount"], given["currency"])
        made = self._make_intent(
            int(given["amount"]), given["currency"], given["customer"], given.get("metadata", {})
        )
        self._tell("payment_intent.created", made)
        return made

    def _make_intent(self, amount: int, currency: str, customer: str, metadata: Mapping[str, str]) -> Thing:
        return self._make(
            "pi", "payment_intent", amount=amount, amount_received=0, currency=currency, customer=customer,
            status="requires_payment_method", payment_method=None, latest_charge=None, last_payment_error=None,
            canceled_at=None, next_action=None, metadata=dict(metadata),
        )  # fmt: skip

    def _change(self, intent: Thing, given: Thing) -> None:
        if intent["status"] not in _CHANGEABLE:
            raise _unexpected(intent, "updated")
        if "amount" in given:
            _check_amount(given["amount"], intent["currency"])
            intent["amount"] = int(given["amount"])
        intent["metadata"] |= given.get("metadata", {})

    def _confirm(self, intent: Thing, given: Thing) -> None:
        if intent["status"] not in _CHANGEABLE:
            raise _unexpected(intent, "confirmed")
        card = self._things.get(given["payment_method"])
        if card is None:
            raise _invalid(f"No such PaymentMethod: '{given['payment_method']}'", "resource_missing")
        if card["customer"] != intent["customer"]:
            raise _invalid(
                "The payment method you provided is not the customer's.", "payment_intent_invalid_parameter"
            )
        intent["payment_method"] = card["id"]
        behaviour = self._behaviours[card["id"]]
        if behaviour in DECLINES:
            self._fail(intent, behaviour)
            error = intent["last_payment_error"]
            raise _Error(402, **error, payment_intent=copy.deepcopy(intent))
        if behaviour == "processing":
            intent["status"] = "processing"
            intent["latest_charge"] = self._make_charge(intent, "pending")["id"]
            return self._tell("payment_intent.processing", intent)
        return self._succeed(intent)

    def _succeed(self, intent: Thing) -> None:
        if intent["status"] == "succeeded":
            raise AssertionError(f"{intent['id']} would succeed twice")
        intent["latest_charge"] = self._make_charge(intent, "succeeded")["id"]
        intent |= {"status": "succeeded", "amount_received": intent["amount"], "last_payment_error": None}
        intent["next_action"] = None
        self._tell("payment_intent.succeeded", intent)

    def _fail(self, intent: Thing, behaviour: str) -> None:
        code, decline_code, message = DECLINES[behaviour]
        intent["latest_charge"] = self._make_charge(intent, "failed")["id"]
        error = {"type": "card_error", "code": code, "decline_code": decline_code, "message": message}
        intent |= {"status": "requires_payment_method", "last_payment_error": error}
        self._tell("payment_intent.payment_failed", intent)

    def _make_charge(self, intent: Thing, status: str) -> Thing:
        return self._make(
            "ch", "charge", amount=intent["amount"], amount_refunded=0, currency=intent["currency"],
            customer=intent["customer"], status=status, disputed=False, payment_intent=intent["id"],
            metadata=dict(intent["metadata"]),
        )  # fmt: skip

    def _cancel(self, intent: Thing, given: Thing) -> None:
        if intent["status"] not in _CHANGEABLE:
            raise _unexpected(intent, "canceled")
        if to_do := intent["next_action"]:
            # What has arrived of a transfer is the customer's again.
            left = to_do["display_bank_transfer_instructions"]["amount_remaining"]
            cash, currency = self._things[intent["customer"]].setdefault("cash", {}), intent["currency"]
            cash[currency] = cash.get(currency, 0) + intent["amount"] - left
        intent |= {"status": "canceled", "canceled_at": self._second(), "next_action": None}
        self._tell("payment_intent.canceled", intent)

    # Pages

    def _sessions(self) -> list[Thing]:
        return self.all("checkout.session")

    def _create_session(self, given: Thing) -> Thing:
        self._check_customer(given["customer"])
        [line] = given["line_items"].values()
        price = line["price_data"]
        _check_amount(price["unit_amount"], price["currency"])
        if "customer_balance" in given["allowed_payment_method_types"].values():
            _check_transfer(given, price["currency"])
        lasts = int(given["expires_at"]) - self._second()
        if not 1_800 <= lasts <= 86_400:
            raise _invalid(
                "`expires_at` must be between 30 minutes and 24 hours from now.", "parameter_invalid"
            )
        made = self._make(
            "cs", "checkout.session", mode=given["mode"], customer=given["customer"], status="open",
            payment_status="unpaid", payment_intent=None, expires_at=int(given["expires_at"]),
            amount_total=int(price["unit_amount"]) * int(line.get("quantity", 1)), currency=price["currency"],
            client_reference_id=given.get("client_reference_id"), metadata=given.get("metadata", {}),
            payment_method_types=list(given["allowed_payment_method_types"].values()),
            bank_transfer=given.get("payment_method_options", {}).get("customer_balance", {}).get("bank_transfer"),
            intent_metadata=given.get("payment_intent_data", {}).get("metadata", {}),
        )  # fmt: skip
        made["url"] = f"https://checkout.stripe.com/c/pay/{made['id']}"
        return made

    def _expire(self, session: Thing, given: Thing) -> None:
        if self._refreshed(session)["status"] != "open":
            raise _invalid(
                'Only Checkout Sessions with a status in ["open"] can be expired.', "session_not_open"
            )
        session |= {"status": "expired", "url": None}
        self._tell("checkout.session.expired", session)

    def _refreshed(self, thing: Thing) -> Thing:
        """A page expires by itself when its time is over."""
        if thing.get("status") == "open" and self._second() >= thing.get("expires_at", float("inf")):
            thing |= {"status": "expired", "url": None}
            self._tell("checkout.session.expired", thing)
        return thing

    # Objects and events

    def _second(self) -> int:
        return int(self._clock().timestamp())

    def _make(self, prefix: str, kind: str, **values: Any) -> Thing:
        thing = {"id": f"{prefix}_{len(self._things) + 1:06d}", "object": kind, "created": self._second()}
        self._things[thing["id"]] = thing | {"livemode": False} | values
        return self._things[thing["id"]]

    def _tell(self, kind: str, about: Thing, previous: Thing | None = None) -> None:
        data: Thing = {"object": copy.deepcopy(about)}
        if previous:
            data["previous_attributes"] = previous
        self.events.append(
            {
                "id": f"evt_{len(self.events) + 1:06d}", "object": "event", "created": self._second(),
                "type": kind, "livemode": False, "api_version": "2026-10-28", "data": data,
            }
        )  # fmt: skip


_CHANGEABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
_COLLECTIONS = {
    "customer": "customers",
    "payment_method": "payment_methods",
    "setup_intent": "setup_intents",
    "payment_intent": "payment_intents",
    "checkout.session": "checkout/sessions",
    "charge": "charges",
}


def _belongs(thing: Thing, collection: str) -> bool:
    return _COLLECTIONS.get(thing["object"]) == collection


def _check_amount(given: str, currency: str) -> None:
    if int(given) < _SMALLEST.get(currency, 50):
        raise _invalid("Amount must be no less than the minimum charge amount.", "amount_too_small")
    if int(given) % _MULTIPLES_OF.get(currency, 1):
        raise _invalid(f"Invalid amount in {currency}.", "parameter_invalid_integer")


def _check_transfer(given: Thing, currency: str) -> None:
    asked = given.get("payment_method_options", {}).get("customer_balance", {})
    transfer = asked.get("bank_transfer", {})
    kind = _BANK_TRANSFERS.get(currency)
    if asked.get("funding_type") != "bank_transfer" or kind is None or transfer.get("type") != kind:
        raise _invalid("Invalid bank transfer.", "parameter_invalid")
    country = transfer.get("eu_bank_transfer", {}).get("country")
    if (kind == "eu_bank_transfer") != (country in ("DE", "FR", "IE", "NL")):
        raise _invalid("Invalid eu_bank_transfer[country].", "parameter_invalid")


def _answered(what: Thing | _Error) -> tuple[int, Mapping[str, str], bytes]:
    status, body = (what.status, {"error": what.error}) if isinstance(what, _Error) else (200, what)
    return status, {"Content-Type": "application/json", "Request-Id": "req_1"}, json.dumps(body).encode()


_FAILED = _answered(_Error(500, "api_error", "Something went wrong on our end."))


def _nested(form: str) -> Thing:
    """`a[b]=1` as `{"a": {"b": "1"}}`."""
    given: Thing = {}
    for name, value in parse_qsl(form, keep_blank_values=True):
        *path, last = name.replace("]", "").split("[")
        into = given
        for part in path:
            into = into.setdefault(part, {})
        into[last or str(len(into))] = value
    return given
