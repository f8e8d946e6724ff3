import pytest
from pydantic import TypeAdapter, ValidationError

from portal import keys
from portal.change import Change
from portal.fields import Phone
from portal.partners.records import Partner
from portal.tenants import rules
from portal.tree import Node

PHONE = TypeAdapter(Phone)


def a_partner() -> Partner:
    node = Node("dst_1", "prt_1")
    return Partner(keys.node(node), keys.NODE, name="Jacob", email="jacob@example.com", phone="+352271234")


def test_a_change_is_what_differs() -> None:
    assert rules.change(a_partner(), {"name": "Jacob", "phone": "+352271234"}) == Change()
    assert rules.change(a_partner(), {"phone": None, "office_address": ["1 Main St"]}) == Change(
        phone=None, office_address=["1 Main St"]
    )


def test_how_the_audit_trail_tells_of_it() -> None:
    changed = Change(name="J", phone=None, office_address=["1 Main St", "Town"], link_hash=None)
    assert (
        rules.described(a_partner(), changed)
        == "Changed the settings of Jacob: name to J, phone to nothing, address to 1 Main St, Town"
    )
    asked = Change(pending_email="new@example.com", link_hash=None)
    assert rules.described(a_partner(), asked).endswith(
        "e-mail address, once it is confirmed, to new@example.com"
    )


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("+352 27 12 34", "+352271234"),
        (" +1 (415) 555-2671 ", "+14155552671"),
        ("+1234567", "+1234567"),
        ("+123456789012345", "+123456789012345"),
    ],
)
def test_a_phone_is_kept_without_spaces(given: str, kept: str) -> None:
    assert PHONE.validate_python(given) == kept


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "+",
        "112",
        "0049891234567",
        "+0491234567",
        "+123456",
        "+1234567890123456",
        "+49 89 x",
        "+49\n1234567",
    ],
)
def test_no_phone_without_its_country(wrong: str) -> None:
    with pytest.raises(ValidationError):
        PHONE.validate_python(wrong)
