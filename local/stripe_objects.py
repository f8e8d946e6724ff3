"""What `localstripe` lacks of Stripe's objects and the portal uses: payment pages, confirming with a saved card, trying
again after a decline, lists since an instant, and events about all of it.

Everything else is localstripe's own. Objects of these classes are stored under the names of those that they replace, and
answered with all that does not begin with an underscore, so methods do.
"""

import time
from typing import Any, Self

from localstripe import resources  # type: ignore[import-untyped]
from localstripe.errors import UserError  # type: ignore[import-untyped]

PAGES: dict[str, str] = {}
"""`address`: where payment pages are, set by whoever serves them."""
GOOD_CARD = "4242424242424242"


def tell(kind: str, about: Any, **previous: Any) -> None:
    event = resources.Event(kind, about)
    if previous:
        event.data["previous_attributes"] = previous
    resources.schedule_webhook(event)


def card(number: str) -> Any:
    """A payment method with this number, nobody's yet."""
    good_for = {"exp_month": 12, "exp_year": time.gmtime(time.time()).tm_year + 4, "cvc": "123"}
    return resources.PaymentMethod(type="card", card={"number": number, **good_for})


def detach(id: str) -> Any:
    found = resources.PaymentMethod._api_retrieve(id)
    if found.customer is None:
        raise UserError(400, "The payment method is not attached to a customer.")
    was, found.customer = found.customer, None
    tell("payment_method.detached", found, customer=was)
    return found


class SetUp(resources.SetupIntent):  # type: ignore[misc]
    def __init__(self, allowed_payment_method_types: list[str] | None = None, **values: Any) -> None:
        super().__init__(payment_method_types=allowed_payment_method_types, **values)

    @classmethod
    def _api_confirm(cls, id: str, **values: Any) -> Self:
        if cls._api_retrieve(id).status == "succeeded":
            raise UserError(
                400, "This setup_intent has succeeded.", {"code": "setup_intent_unexpected_state"}
            )
        confirmed: Self = super()._api_confirm(id, **values)
        return confirmed

    def _attach_pm(self, method: Any) -> None:
        super()._attach_pm(method)
        # There is nobody to be asked by a bank here.
        self.status, self.next_action = "succeeded", None
        resources.PaymentMethod._api_attach(method.id, customer=self.customer)
        tell("setup_intent.succeeded", self)


class Intent(resources.PaymentIntent):  # type: ignore[misc]
    def __init__(self, allowed_payment_method_types: list[str] | None = None, **values: Any) -> None:
        super().__init__(**values)
        self._transfer_announced = False
        self._arrived = 0
        self.next_action: dict[str, Any] | None = self.next_action

    @property
    def status(self) -> str:
        if self._transfer_announced and not self._canceled:
            return "requires_action"
        status: str = super().status
        return status

    @property
    def amount_received(self) -> int:
        return self.amount if self.status == "succeeded" else 0

    @classmethod
    def _api_update(cls, id: str, amount: Any = None, metadata: dict[str, str] | None = None) -> Self:
        intent: Self = cls._api_retrieve(id)
        intent._check_confirmable()
        intent.amount = intent.amount if amount is None else int(amount)
        intent.metadata |= metadata or {}
        return intent

    @classmethod
    def _api_confirm(cls, id: str, payment_method: str = "", off_session: str = "", **_: Any) -> Self:
        intent: Self = cls._api_retrieve(id)
        intent._check_confirmable()
        method = resources.PaymentMethod._api_retrieve(payment_method)
        if method.customer != intent.customer:
            raise UserError(400, "The payment method is not the customer's.")
        intent._pay(method, off_session=off_session.lower() == "true")
        return intent

    @classmethod
    def _api_list_all(
        cls,
        url: str,
        customer: str | None = None,
        created: dict[str, str] | None = None,
        limit: Any = None,
        starting_after: str | None = None,
    ) -> Any:
        found = super()._api_list_all(url, limit=limit, starting_after=starting_after)
        since = int((created or {}).get("gte", 0))
        found._list = [
            each
            for each in reversed(found._list)
            if each.created >= since and customer in (None, each.customer)
        ]
        return found

    def _pay(self, method: Any, *, off_session: bool) -> None:
        """Raises:
        UserError: the card is declined; it may be tried again.
        """
        self.payment_method, self.latest_charge = method.id, None
        if off_session and method._requires_authentication():
            # Its owner would have to be asked, and is not there.
            terms = {"amount": self.amount, "currency": self.currency, "customer": self.customer}
            self.latest_charge = resources.Charge(**terms, source=method.id)
            self.latest_charge.status, self.latest_charge.failure_code = "failed", "authentication_required"
            self.latest_charge.failure_message = "Your card was declined. It requires authentication."
            self._report_failure()
        self._create_charge(on_failure_now=self._report_failure)

    def _announce_transfer(self) -> None:
        self._transfer_announced = True
        self._ask_for_the_rest()
        tell("payment_intent.requires_action", self)

    def _receive_transfer(self, amount: int) -> bool:
        """Whether it is all there now."""
        self._arrived += amount
        if self._arrived < self.amount:
            self._ask_for_the_rest()
            tell("payment_intent.partially_funded", self)
            return False
        self._transfer_announced, self.next_action = False, None
        self._pay(card(GOOD_CARD), off_session=False)
        return True

    def _ask_for_the_rest(self) -> None:
        kind, rest = "display_bank_transfer_instructions", self.amount - self._arrived
        self.next_action = {"type": kind, kind: {"amount_remaining": rest, "currency": self.currency}}

    def _check_confirmable(self) -> None:
        if self.status not in ("requires_payment_method", "requires_confirmation"):
            message = f"This payment_intent cannot be changed: its status is {self.status}."
            raise UserError(400, message, {"code": "payment_intent_unexpected_state"})


_BANK_TRANSFERS = {
    "usd": "us_bank_transfer",
    "eur": "eu_bank_transfer",
    "gbp": "gb_bank_transfer",
    "jpy": "jp_bank_transfer",
    "mxn": "mx_bank_transfer",
}


def _check_transfer(currency: str, options: Any) -> None:
    """Raises:
    UserError: there are no bank transfers in this currency, or they are called otherwise.
    """
    asked = ((options or {}).get("customer_balance") or {}).get("bank_transfer") or {}
    country = (asked.get("eu_bank_transfer") or {}).get("country")
    in_europe = currency == "eur"
    if asked.get("type") != _BANK_TRANSFERS.get(currency, "none") or in_europe != (
        country in ("DE", "FR", "IE", "NL")
    ):
        raise UserError(400, "There is no such bank transfer.")


class Session(resources.StripeObject):  # type: ignore[misc]
    """A hosted payment page."""

    object = "checkout.session"
    _id_prefix = "cs_"

    def __init__(
        self,
        mode: str,
        customer: str,
        line_items: list[dict[str, Any]],
        expires_at: str,
        allowed_payment_method_types: list[str],
        success_url: str,
        cancel_url: str,
        client_reference_id: str | None = None,
        metadata: dict[str, str] | None = None,
        payment_intent_data: dict[str, Any] | None = None,
        payment_method_options: Any = None,
    ) -> None:
        [item] = line_items
        lasts = int(expires_at) - time.time()
        if mode != "payment" or not 1_800 - 60 <= lasts <= 86_400:
            raise UserError(400, "Pages are for payments, and last from 30 minutes to 24 hours.")
        if "customer_balance" in allowed_payment_method_types:
            _check_transfer(item["price_data"]["currency"], payment_method_options)
        resources.Customer._api_retrieve(customer)
        super().__init__()
        self.mode, self.customer, self.client_reference_id = mode, customer, client_reference_id
        self.amount_total = int(item["price_data"]["unit_amount"]) * int(item.get("quantity", 1))
        self.currency = item["price_data"]["currency"]
        self.title = item["price_data"]["product_data"]["name"]
        self.payment_method_types = allowed_payment_method_types
        self.success_url, self.cancel_url, self.expires_at = success_url, cancel_url, int(expires_at)
        self.metadata = metadata or {}
        self.payment_intent: str | None = None
        self._told_to_intent = (payment_intent_data or {}).get("metadata", {})
        self._ended: str | None = None

    @property
    def status(self) -> str:
        return self._ended or ("expired" if time.time() >= self.expires_at else "open")

    @property
    def payment_status(self) -> str:
        intent = Intent._api_retrieve(self.payment_intent) if self.payment_intent else None
        return "paid" if intent is not None and intent.status == "succeeded" else "unpaid"

    @property
    def url(self) -> str | None:
        return f"{PAGES['address']}/{self.id}" if self.status == "open" else None

    @classmethod
    def _api_list_all(
        cls,
        url: str,
        customer: str | None = None,
        status: str | None = None,
        limit: Any = None,
        starting_after: str | None = None,
    ) -> Any:
        found = super()._api_list_all(url, limit=limit, starting_after=starting_after)
        found._list = [
            each
            for each in reversed(found._list)
            if customer in (None, each.customer) and status in (None, each.status)
        ]
        return found

    @classmethod
    def _api_expire(cls, id: str) -> Self:
        page: Self = cls._api_retrieve(id)
        page._check_open()
        page._ended = "expired"
        tell("checkout.session.expired", page)
        return page

    def _pay(self, kind: str, number: str) -> None:
        """Somebody pays by `card` (with this number), `paypal`, or announces a bank transfer (`customer_balance`).

        Raises:
            UserError: the card is declined, or nobody can pay here so.
        """
        self._check_open()
        if kind not in self.payment_method_types:
            raise UserError(400, f"This page does not take {kind}.")
        if self.payment_intent is None:
            terms = {"amount": self.amount_total, "currency": self.currency, "customer": self.customer}
            self.payment_intent = Intent(**terms, metadata=dict(self._told_to_intent)).id
        intent = Intent._api_retrieve(self.payment_intent)
        if kind == "customer_balance":
            intent._announce_transfer()
        else:
            intent._pay(card(number if kind == "card" else GOOD_CARD), off_session=False)
        self._ended = "complete"
        tell("checkout.session.completed", self)

    def _still_to_come(self) -> int:
        intent = Intent._api_retrieve(self.payment_intent or "")
        return int(intent.amount) - int(intent._arrived)

    def _receive_transfer(self, amount: int) -> None:
        """The bank transfer that was announced has arrived, or a part of it. What is too much is let go of here."""
        intent = Intent._api_retrieve(self.payment_intent or "")
        if intent.status != "requires_action":
            raise UserError(400, "No transfer is expected.")
        if intent._receive_transfer(amount):
            tell("checkout.session.async_payment_succeeded", self)

    def _check_open(self) -> None:
        if self.status != "open":
            raise UserError(400, f"This page is {self.status}.", {"code": "session_not_open"})
