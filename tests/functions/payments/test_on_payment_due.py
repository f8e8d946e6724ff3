"""The worker takes whatever comes through its queue to those who know about it; what comes of it is tested with them."""

from datetime import date
from typing import Any

import pytest

from portal.billing import credit_balance
from portal.payments import cards, charging, pages, taken_back, transfers
from tests.books import a_payer
from tests.support import FakeStripe
from tests.world import World

WORKER = "payments.on_payment_due"


def test_a_bill_that_is_not_there_is_no_trouble(world: World, stripe: FakeStripe) -> None:
    north = a_payer(date(2023, 1, 1))
    world.deliver(
        WORKER,
        {
            "kind": "bill",
            "distributor_id": north.distributor,
            "bill_sk": "BILL#2023-01-24#monthly#credit_card",
        },
    )
    assert stripe.all("payment_intent") == []


@pytest.mark.parametrize("about", ["customer", "", "checkout.session"])
def test_what_concerns_nothing_here_is_no_trouble(world: World, stripe: FakeStripe, about: str) -> None:
    world.deliver(
        WORKER, {"kind": "told", "about": about, "id": "x", "distributor_id": None, "bill_sk": None}
    )
    assert stripe.events == []


def test_what_the_provider_does_not_know_is_no_trouble(
    world: World, stripe: FakeStripe, caplog: pytest.LogCaptureFixture
) -> None:
    for about in ("payment_intent", "charge", "dispute", "transfer", "cash_balance"):
        world.deliver(WORKER, {"kind": "told", "about": about, "id": "pi_none", "charge_id": "ch_none"})
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "told of an intent that is not there",
        "told of a charge that is no bill's",
        "told of a charge that is no bill's",
        "told of an intent that is not there",
        "told of a transfer that is nobody's",
    ]


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_is_nobody_s_failed_attempt(
    world: World, stripe: FakeStripe, status: int
) -> None:
    """Somebody has to see to it: the message ends in the dead-letter queue."""
    stripe.answer_next(status)
    with pytest.raises(AssertionError, match="failed on"):
        world.deliver(WORKER, {"kind": "told", "about": "payment_intent", "id": "pi_1"})


@pytest.mark.parametrize(
    ("message", "called"),
    [
        ({"kind": "bill"}, ["credit_balance.apply", "charging.charge"]),
        ({"kind": "page"}, ["pages.settle"]),
        ({"kind": "detach", "card_id": "pm_1"}, ["cards.detach"]),
        ({"kind": "told", "about": "payment_intent"}, ["charging.settle"]),
        ({"kind": "told", "about": "transfer"}, ["transfers.look_into_part"]),
        ({"kind": "told", "about": "cash_balance"}, ["transfers.look_into_balance"]),
        ({"kind": "told", "about": "setup_intent"}, ["cards.settle_set_up"]),
        ({"kind": "told", "about": "payment_method"}, ["cards.settle_card"]),
        ({"kind": "told", "about": "checkout.session"}, ["pages.settle"]),
        ({"kind": "told", "about": "charge"}, ["taken_back.look_into"]),
        ({"kind": "told", "about": "dispute"}, ["taken_back.look_into"]),
        ({"kind": "told", "about": "customer"}, []),
    ],
)
def test_who_knows_about_it_is_asked(
    world: World, monkeypatch: pytest.MonkeyPatch, message: dict[str, Any], called: list[str]
) -> None:
    asked: list[str] = []
    for module, names in (
        (credit_balance, ["apply"]),
        (charging, ["charge", "settle"]),
        (pages, ["settle"]),
        (cards, ["settle_set_up", "settle_card", "detach"]),
        (taken_back, ["look_into"]),
        (transfers, ["look_into_part", "look_into_balance"]),
    ):
        for name in names:
            known = f"{module.__name__.rpartition('.')[2]}.{name}"
            monkeypatch.setattr(module, name, lambda *about, known=known: asked.append(known))
    world.deliver(WORKER, {"distributor_id": "dst_north", "bill_sk": "BILL", "id": "x_1", **message})
    assert asked == called
