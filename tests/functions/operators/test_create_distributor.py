from datetime import UTC, date, datetime
from typing import Any

import pytest

from portal import keys
from portal.billing.records import list_price_books
from portal.distributors.records import get_distributor, get_schedule
from portal.journal import AuditEntry
from portal.scope import EVERYTHING
from portal.table import query
from portal.tree import VENDOR, Node
from tests.books import PRICES
from tests.builders import a_distributor, a_partner, bearer, confirm, deliver_mail, sign_in
from tests.world import OPERATOR, Answer, World, administrator

TERMS = {"name": "North Distribution", "email": "office@north.example.com", "country": "Luxembourg"}


def create(world: World, **terms: Any) -> Answer:
    return world.call("operators.create_distributor", OPERATOR, body=TERMS | terms)


def test_a_new_distributor_has_usual_terms_unless_others_are_given(world: World) -> None:
    answer = create(world)
    assert answer.status == 201
    assert answer.json == TERMS | {
        "distributor_id": answer.json["distributor_id"],
        "business": "distributor",
        "currency": "USD",
        "billing_method": None,
        "created_at": "2023-01-10T12:00:00Z",
        "payment_day": 1,
        "billed_from": "2023-01-01",
        "tax_rate": "0",
        "tax_name": None,
        "tax_id": None,
        "reverse_charge": False,
        "address": None,
    }
    path = {"distributor_id": answer.json["distributor_id"]}
    nothing = {"amount": "0.00", "minor": 0, "currency": "USD"}
    shown = world.call("operators.get_distributor", OPERATOR, path=path).json
    assert shown == answer.json | {"credit_balance": nothing}


def test_all_terms_can_be_given(world: World) -> None:
    terms = {
        "business": "direct_partner",
        "payment_day": 24,
        "currency": "EUR",
        "billing_method": "invoice",
        "tax_rate": "0.17",
        "tax_name": "VAT",
        "tax_id": "LU12345678",
        "reverse_charge": True,
        "address": ["1, rue du Nord", "L-1234 Luxembourg"],
    }
    answer = create(world, **terms)
    assert {name: answer.json[name] for name in terms} == terms
    assert answer.json["billed_from"] == "2022-12-24"
    assert create(world, email="other@example.com", tax_rate=0.17).json["tax_rate"] == "0.17"


@pytest.mark.parametrize(
    ("payment_day", "now", "billed_from", "monthly_due"),
    [
        (1, datetime(2023, 1, 10, 12, tzinfo=UTC), date(2023, 1, 1), datetime(2023, 2, 1, tzinfo=UTC)),
        (24, datetime(2023, 1, 24, 0, tzinfo=UTC), date(2023, 1, 24), datetime(2023, 2, 24, tzinfo=UTC)),
        (
            24,
            datetime(2023, 1, 23, 23, 59, tzinfo=UTC),
            date(2022, 12, 24),
            datetime(2023, 1, 24, tzinfo=UTC),
        ),
        (31, datetime(2023, 2, 28, 1, tzinfo=UTC), date(2023, 2, 28), datetime(2023, 3, 31, tzinfo=UTC)),
    ],
)
def test_its_jobs_are_due_at_midnight_and_at_the_end_of_the_first_period(
    world: World, payment_day: int, now: datetime, billed_from: date, monthly_due: datetime
) -> None:
    world.now = now
    distributor = a_distributor(world, payment_day=payment_day)
    assert get_distributor(EVERYTHING, distributor.distributor).billed_from_on == billed_from
    assert get_schedule(EVERYTHING, distributor, "monthly").due_at == monthly_due
    tomorrow = datetime(now.year, now.month, now.day, tzinfo=UTC).toordinal() + 1
    assert get_schedule(EVERYTHING, distributor, "usage").due_at == datetime.fromordinal(tomorrow).replace(
        tzinfo=UTC
    )


def test_its_prices_hold_from_the_first_period_on(world: World) -> None:
    distributor = a_distributor(world, payment_day=24, prices=PRICES)
    [book] = list_price_books(EVERYTHING, distributor)
    assert (book.effective_on, book.prices) == (date(2022, 12, 24), PRICES)
    shown = world.call("billing.get_prices", administrator(distributor))
    assert shown.status == 200


def test_its_first_administrator_is_invited(world: World) -> None:
    distributor = a_distributor(world, administrator_name="Nora North")
    [invitation] = deliver_mail(world)
    assert invitation.to == "office@north.example.com"
    assert "Hello Nora North," in invitation.text
    confirm(world, "office@north.example.com")
    caller = bearer(world, sign_in(world, "office@north.example.com")["access_token"])
    assert (caller.portal, caller.name) == (distributor, "Nora North")


def test_bad_terms_are_refused_by_field_and_nothing_is_written(world: World) -> None:
    for terms, field in (
        ({"email": "nowhere"}, "email"),
        ({"business": "reseller"}, "business"),
        ({"payment_day": 0}, "payment_day"),
        ({"payment_day": 32}, "payment_day"),
        ({"payment_day": 1.5}, "payment_day"),
        ({"currency": "usd"}, "currency"),
        ({"currency": "XXX"}, "currency"),
        ({"prices": PRICES | {"currency": "EUR"}}, "prices.currency"),
        ({"prices": PRICES | {"currency": "XYZ"}}, "prices"),
        ({"tax_rate": "-0.1"}, "tax_rate"),
        ({"tax_rate": "1.1"}, "tax_rate"),
        ({"tax_rate": "NaN"}, "tax_rate"),
        ({"reverse_charge": True}, "tax_id"),
        ({"billing_method": "cash"}, "billing_method"),
        ({"address": ["x"] * 7}, "address"),
        ({"distributor_id": "dst_mine"}, "distributor_id"),
    ):
        answer = create(world, **terms)
        assert answer.status == 400, terms
        assert [error["field"] for error in answer.json["errors"]] == [field]
    assert world.call("operators.list_distributors", OPERATOR).json["total"] == 0
    assert deliver_mail(world) == []


def test_an_address_in_use_is_refused(world: World) -> None:
    a_partner(world, a_distributor(world), "taken@example.com")
    answer = create(world, email="Taken@example.com")
    assert (answer.status, answer.code) == (409, "email_taken")


def test_it_is_audited_with_the_vendor(world: World) -> None:
    a_distributor(world)
    [entry] = query(AuditEntry, keys.node(VENDOR), "AUDIT")
    assert (entry.activity, entry.description, entry.performed_by) == (
        "distributor created",
        "Created distributor North Distribution",
        "operator@example.com",
    )


def test_only_operators_create_distributors(world: World) -> None:
    for caller in (administrator(a_distributor(world)), administrator(Node("dst_x"), home=VENDOR)):
        assert world.call("operators.create_distributor", caller, body=TERMS).status == 403
    assert world.call("operators.create_distributor", body=TERMS).status == 401
