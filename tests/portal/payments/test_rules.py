"""How charging a bill goes on: pure decisions."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal import keys
from portal.change import Change
from portal.payments import rules
from portal.payments.records import Charge
from portal.tree import Node

ISSUED = datetime(2023, 1, 24, 2, 0, 5, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def a_charge(**values: Any) -> Charge:
    pk = keys.bill_parts(Node("dst_north"), "BILL#2023-01-24#monthly#credit_card")
    return Charge(pk, keys.CHARGE, **{**rules.begun(ISSUED), **values})


def test_a_charge_begins_when_its_bill_is_issued() -> None:
    charge = a_charge()

    assert (charge.state, charge.attempts, charge.look_at) == ("waiting", 0, ISSUED)
    assert charge.bill_sk == "BILL#2023-01-24#monthly#credit_card"
    assert not rules.is_due(charge, ISSUED - SECOND)
    assert rules.is_due(charge, ISSUED)
    assert not charge.is_in_flight


@pytest.mark.parametrize(
    ("failed_after", "next_after"),
    [
        (timedelta(), 1), (SECOND, 1), (DAY - SECOND, 1),
        (DAY, 3), (2 * DAY, 3), (3 * DAY - SECOND, 3),
        (3 * DAY, 5), (5 * DAY - SECOND, 5),
        (5 * DAY, 7), (7 * DAY - SECOND, 7),
        (7 * DAY, None), (30 * DAY, None),
    ],
)  # fmt: skip
def test_it_is_tried_again_on_days_that_count_from_issue(
    failed_after: timedelta, next_after: int | None
) -> None:
    now = ISSUED + failed_after
    charge = a_charge(state="asked", attempts=1, card_id="pm_1", failures=[{"card": "pm_0"}])

    change = rules.failed(charge, "card_declined", "No.", "ch_1", now, active_card_id="pm_1")

    assert change == rules.failed(charge, "card_declined", "No.", "ch_1", now, active_card_id=None)
    assert change == Change(
        state="given_up" if next_after is None else "waiting",
        look_at=None if next_after is None else ISSUED + next_after * DAY,
        last_charge_id="ch_1",
        failures=[
            {"card": "pm_0"},
            {"on": now.date().isoformat(), "card": "pm_1", "code": "card_declined", "message": "No."},
        ],
    )


@pytest.mark.parametrize("after", [timedelta(), 7 * DAY, 30 * DAY])
def test_a_card_that_was_made_the_active_one_meanwhile_is_tried_at_once(after: timedelta) -> None:
    now = ISSUED + after
    charge = a_charge(state="asked", attempts=1, card_id="pm_1")

    change = rules.failed(charge, "card_declined", "No.", "ch_1", now, active_card_id="pm_2")

    assert change == Change(
        state="waiting",
        look_at=now,
        last_charge_id="ch_1",
        failures=[{"on": now.date().isoformat(), "card": "pm_1", "code": "card_declined", "message": "No."}],
    )


def test_five_days_on_which_it_is_tried() -> None:
    at, tried = ISSUED, [ISSUED]
    while at := rules.next_attempt(ISSUED, at):
        tried.append(at)
    assert [(at - ISSUED).days for at in tried] == list(rules.TRIED_AFTER_DAYS)


def test_what_is_asked_for_is_written_down_and_looked_up_later() -> None:
    now = ISSUED + DAY

    change = rules.asked(a_charge(attempts=1), 1234, "pm_1", now)

    assert change == Change(
        state="asked",
        attempts=2,
        amount_minor=1234,
        card_id="pm_1",
        asked_at=now,
        look_at=now + rules.LOOKED_UP_AFTER,
    )
    asked = a_charge(**change)
    assert asked.is_in_flight
    assert not rules.is_due(asked, now + 2 * rules.LOOKED_UP_AFTER)


FAILED_BEFORE = {"on": "2023-01-24", "card": "pm_0", "code": "card_declined", "message": "No."}


@pytest.mark.parametrize(("attempts", "after", "next_after"), [(0, 0, 1), (3, 5, 7), (4, 7, None)])
def test_without_a_card_an_attempt_fails_before_it_begins(
    attempts: int, after: int, next_after: int | None
) -> None:
    now = ISSUED + after * DAY
    charge = a_charge(attempts=attempts, card_id="pm_0", failures=[FAILED_BEFORE])

    assert rules.not_asked(charge, now) == Change(
        state="given_up" if next_after is None else "waiting",
        look_at=None if next_after is None else ISSUED + next_after * DAY,
        attempts=attempts + 1,
        card_id=None,
        failures=[
            FAILED_BEFORE,
            {
                "on": now.date().isoformat(),
                "card": None,
                "code": "no_card",
                "message": "There is no active card.",
            },
        ],
    )
    [failure] = rules.not_asked(a_charge(), now)["failures"]
    assert failure["code"] == "no_card"


def test_what_ends_a_charge() -> None:
    asked = a_charge(state="asked", card_id="pm_1", failures=[FAILED_BEFORE])

    assert rules.succeeded("pi_1", "ch_1") == Change(
        state="succeeded", look_at=None, intent_id="pi_1", last_charge_id="ch_1"
    )
    assert rules.stopped() == Change(state="stopped", look_at=None)
    canceled = {
        "on": "2023-01-25",
        "card": "pm_1",
        "code": "canceled",
        "message": "The payment was canceled.",
    }
    assert rules.canceled(asked, ISSUED + DAY) == Change(
        state="given_up", look_at=None, failures=[FAILED_BEFORE, canceled]
    )
    assert rules.canceled(a_charge(card_id="pm_1"), ISSUED + DAY)["failures"] == [canceled]


@pytest.mark.parametrize(
    ("state", "tried"),
    [("waiting", True), ("given_up", True), ("asked", False), ("succeeded", False), ("stopped", False)],
)
def test_another_active_card_is_tried_at_once(state: str, tried: bool) -> None:
    charge = a_charge(state=state, failures=[{"card": "pm_1"}])
    now = ISSUED + 2 * DAY

    change = rules.tried_now(charge, now)

    assert change == (Change(state="waiting", look_at=now) if tried else Change())


def test_a_charge_that_has_not_failed_yet_takes_the_card_that_there_is() -> None:
    assert rules.tried_now(a_charge(), ISSUED) == Change()


def test_an_amount_that_the_provider_does_not_take_is_not_tried_with_another_card() -> None:
    charge = a_charge(state="asked", card_id="pm_1", failures=[FAILED_BEFORE])

    change = rules.amount_refused(charge, ISSUED + DAY)

    [before, failure] = change["failures"]
    assert (change["state"], change["look_at"], before) == ("given_up", None, FAILED_BEFORE)
    assert (failure["on"], failure["card"], failure["code"]) == ("2023-01-25", "pm_1", "amount_refused")
    assert rules.amount_refused(a_charge(), ISSUED)["failures"][0]["card"] is None
    refused = a_charge(**change)
    assert rules.tried_now(refused, ISSUED + 2 * DAY) == Change()
    tried_before = a_charge(**change | Change(failures=[failure, FAILED_BEFORE]))
    assert rules.tried_now(tried_before, ISSUED + 2 * DAY)["state"] == "waiting"


@pytest.mark.parametrize(("active", "at_once"), [("pm_2", True), ("pm_1", False), (None, False)])
def test_a_card_that_was_activated_during_an_attempt_is_tried_at_once(
    active: str | None, at_once: bool
) -> None:
    charge, now = a_charge(state="asked", card_id="pm_1"), ISSUED + 8 * DAY
    change = rules.failed(charge, "card_declined", "No.", "ch_1", now, active_card_id=active)
    assert (change["state"], change["look_at"]) == (("waiting", now) if at_once else ("given_up", None))


def test_an_amount_that_is_refused_is_not_tried_again_with_any_card() -> None:
    change = rules.amount_refused(a_charge(state="asked", card_id="pm_1"), ISSUED)
    assert (change["state"], change["look_at"]) == ("given_up", None)
    assert [each["code"] for each in change["failures"]] == ["amount_refused"]
    given_up = a_charge(state="given_up", failures=change["failures"])
    assert rules.tried_now(given_up, ISSUED + DAY) == Change()
