from datetime import date

import pytest

from portal import keys
from portal.journal import AuditEntry
from portal.table import query
from tests import books
from tests.world import OPERATOR, World, administrator


@pytest.mark.parametrize("method", ["credit_card", "invoice"])
def test_the_first_choice_holds_and_is_audited(world: World, method: str) -> None:
    distributor = books.a_payer(date(2023, 1, 1), billing_method=None)
    assert world.call("billing.get_billing_method", administrator(distributor)).json["method"] is None
    answer = world.call("billing.choose_billing_method", administrator(distributor), body={"method": method})
    assert (answer.status, answer.json["method"]) == (200, method)
    assert world.call("billing.get_billing_method", administrator(distributor)).json["method"] == method
    (entry,) = query(AuditEntry, keys.node(distributor), "AUDIT#")
    assert entry.description == f"Chose to pay by {method.replace('_', ' ')}"


@pytest.mark.parametrize("again", ["credit_card", "invoice"])
def test_later_only_support_changes_it(world: World, again: str) -> None:
    distributor = books.a_payer(date(2023, 1, 1), billing_method="invoice")
    answer = world.call("billing.choose_billing_method", administrator(distributor), body={"method": again})
    assert (answer.status, answer.code) == (409, "contact_support")
    assert world.call("billing.get_billing_method", administrator(distributor)).json["method"] == "invoice"


def test_anything_else_is_refused(world: World) -> None:
    distributor = books.a_payer(date(2023, 1, 1), billing_method=None)
    for body in ({"method": "cash"}, {}, {"method": "invoice", "because": "cheaper"}, {"method": None}):
        answer = world.call("billing.choose_billing_method", administrator(distributor), body=body)
        assert (answer.status, answer.code) == (400, "invalid")
    for caller in (OPERATOR, administrator(distributor.child("prt_1"))):
        answer = world.call("billing.choose_billing_method", caller, body={"method": "invoice"})
        assert answer.code == "not_permitted"
