from typing import Any

import pytest
from pydantic import ValidationError

from portal.billing.details import PaymentDetails

FORM: dict[str, Any] = {
    "currency": "EUR",
    "payment_day": 24,
    "title": "Ms",
    "first_name": "Ada",
    "last_name": "Moreau",
    "billing_email": "Billing@North.example.com",
    "company": "North Distribution",
    "tax_id": "LU 150 274 42",
    "address_line_1": "2 Harbour Road",
    "country": "lu",
    "city": "Luxembourg",
    "postal_code": "1234",
    "phone": "+352 27 12 34 56",
}


def given(**values: Any) -> PaymentDetails:
    return PaymentDetails.model_validate(FORM | values)


def test_what_libraries_know_is_brought_into_its_usual_form() -> None:
    details = given()
    assert (details.tax_id, details.country, details.phone) == ("LU15027442", "LU", "+352 27 12 34 56")
    assert details.billing_email == "Billing@north.example.com"
    assert details.address == [
        "Ms Ada Moreau",
        "2 Harbour Road",
        "1234 Luxembourg",
        "Luxembourg",
    ]


@pytest.mark.parametrize(
    ("country", "tax_id", "kept"),
    [
        ("DE", "136695976", "DE136695976"),
        ("GR", "EL094259216", "EL094259216"),
        ("AT", "ATU13585627", "ATU13585627"),
        ("US", "04-2103594", "042103594"),
        ("GB", "GB980780684", "980780684"),
        ("BR", "16.727.230/0001-97", "16727230000197"),
        ("AQ", "whatever 7", "whatever 7"),
        ("LU", None, None),
    ],
)
def test_tax_ids_are_checked_by_their_country(country: str, tax_id: str | None, kept: str | None) -> None:
    assert given(country=country, tax_id=tax_id).tax_id == kept


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("payment_day", 0),
        ("payment_day", 32),
        ("payment_day", 1.5),
        ("currency", "usd"),
        ("country", "ZZ"),
        ("country", "LUX"),
        ("country", "Luxembourg"),
        ("tax_id", "LU15027443"),
        ("tax_id", "DE136695976"),
        ("phone", "27 12 34 56"),
        ("phone", "+352 1"),
        ("phone", "+999 27 12 34 56"),
        ("billing_email", "north.example.com"),
        ("delivery", "fax"),
        ("first_name", " "),
        ("city", ""),
        ("postal_code", ""),
        ("address_line_1", ""),
        ("address_line_1", "2 Harbour\nRoad"),
        ("title", ""),
        ("iban", "LU28"),
    ],
)
def test_what_is_wrong_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        given(**{field: value})


@pytest.mark.parametrize("field", [name for name in FORM if name != "tax_id"])
def test_all_but_the_tax_id_has_to_be_given(field: str) -> None:
    with pytest.raises(ValidationError):
        PaymentDetails.model_validate({name: value for name, value in FORM.items() if name != field})
