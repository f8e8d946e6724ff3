import pytest
from pydantic import TypeAdapter, ValidationError

from portal.identity.emails import Email
from portal.identity.records import folded

EMAIL: TypeAdapter[str] = TypeAdapter(Email)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (" Joan.Doe+x@EXAMPLE.com ", "Joan.Doe+x@example.com"),
        ("a@b.test", "a@b.test"),
        ("a@bücher.example.com", "a@bücher.example.com"),
        ("o'hara@example.com", "o'hara@example.com"),
    ],
)
def test_an_address_is_kept_as_mail_is_sent_to_it(given: str, kept: str) -> None:
    assert EMAIL.validate_python(given) == kept


@pytest.mark.parametrize(
    "given",
    [
        "", "a", "a@", "@b.com", "a@b", "a@localhost", "a b@example.com", "a@example.com,b@example.com",
        "a@@example.com", "a@example..com", "Joan <joan@example.com>", "a@example.com\nBcc: b@example.com",
        "a@[127.0.0.1]", "ü@example.com", "x" * 65 + "@example.com", "a@" + "x" * 250 + ".com", None, 7,
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(given: object) -> None:
    with pytest.raises(ValidationError):
        EMAIL.validate_python(given)


def test_addresses_are_the_same_but_for_case_and_blanks() -> None:
    assert folded(" Joan@EXAMPLE.com ") == folded("joan@example.COM") == "joan@example.com"
    assert folded("straße@example.com") == folded("STRASSE@example.com")
