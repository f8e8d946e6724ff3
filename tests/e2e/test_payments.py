"""Paying over HTTP: a card is added and charged for the next monthly bill, and an earlier bill is paid on its page. Portal,
payment provider, webhooks and workers are all the deployed ones.
"""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from local.people import OPERATOR_EMAIL, PASSWORD
from tests.e2e.conftest import LocalCloud

pytestmark = pytest.mark.xdist_group("local_cloud")

_TURNS = 150
_NEXT_MONTH = """
from datetime import timedelta
from local import clock, jobs
clock.move_to(clock.now() + timedelta(days=32))
print(list(jobs.run("RunMonthlyBilling")))
"""


class Person:
    """Somebody who has signed in."""

    def __init__(self, api: str, email: str) -> None:
        self.api = api
        credentials = {"email": email, "password": PASSWORD}
        tokens = requests.post(f"{api}/auth/sign-in", json=credentials, timeout=60).json()
        self.headers = {"Authorization": f"Bearer {tokens['access_token']}"}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(method, self.api + path, json=body, headers=self.headers, timeout=60)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def bills(self) -> list[dict[str, Any]]:
        """The consolidated ones, the latest first."""
        found: list[dict[str, Any]] = self.ask("GET", "/billing/history?kind=monthly")["items"]
        return found

    def until(self, look: Callable[[], Any]) -> Any:
        """What is there a moment later, when the provider has told of it and it was looked into."""
        for _ in range(_TURNS):
            if found := look():
                return found
            requests.get(f"{self.api}/health", timeout=60)
        raise AssertionError("Nothing came of it.")


@pytest.fixture
def payments(local_cloud: LocalCloud) -> None:
    local_cloud.run("-c", "from local import cloud; cloud.start_payments()")


def test_a_card_is_charged_for_the_next_bill_and_the_last_one_is_paid_on_its_page(
    local_cloud: LocalCloud, month: dict[str, str], payments: None
) -> None:
    api = local_cloud.outputs()["Api"]
    payer, operator = Person(api, month["administrator"]), Person(api, OPERATOR_EMAIL)

    begun = payer.ask("POST", "/billing/cards")
    card = local_cloud.run("-m", "local.stripe", "card", begun["client_secret"]).strip()
    [shown] = payer.until(lambda: payer.ask("GET", "/billing/cards")["items"])
    assert (shown["card_id"], shown["last4"], shown["active"]) == (card, "4242", True)
    distributor = payer.ask("GET", "/me")["portal"]["distributor_id"]
    operator.ask("PUT", f"/operator/distributors/{distributor}/billing-method", {"method": "credit_card"})

    [owed] = payer.bills()
    page = payer.ask("POST", f"/billing/history/{owed['reference']}/payment")
    assert payer.ask("POST", f"/billing/history/{owed['reference']}/payment") == page
    paid = requests.post(page["url"], data={"card": "4242424242424242"}, timeout=60)
    assert paid.status_code == 200, paid.text
    payer.until(lambda: payer.bills()[0]["state"] == "paid")

    local_cloud.run("-c", _NEXT_MONTH)
    later = Person(api, month["administrator"])
    charged = later.until(
        lambda: next(
            (
                each
                for each in later.bills()
                if each != owed and each["state"] == "paid" and each["reference"] != owed["reference"]
            ),
            None,
        )
    )
    for reference, paid_by in ((owed["reference"], "payment_page"), (charged["reference"], "credit_card")):
        [payment] = later.ask("GET", f"/billing/history/{reference}/payments")["items"]
        assert payment["paid_by"] == paid_by
