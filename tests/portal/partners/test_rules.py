from types import SimpleNamespace
from typing import Any

import pytest

from portal.change import Change
from portal.partners import rules


def a_partner(**values: Any) -> Any:
    usual = {"partner_id": "prt_1", "partner_code": "DDEVR002", "name": "Jacob", "country": "Israel"}
    return SimpleNamespace(
        **usual | {"contact_person": None, "data_center": "eu", "account_count": 0} | values
    )


def test_only_distributors_proper_have_partners() -> None:
    rules.may_have_partners(SimpleNamespace(business="distributor"))  # type: ignore[arg-type]
    with pytest.raises(rules.NoPartnersHere):
        rules.may_have_partners(SimpleNamespace(business="direct_partner"))  # type: ignore[arg-type]


def test_the_partner_id_is_the_distributors_code_or_the_generated_one() -> None:
    assert rules.own_code("DDEVR002", "prt_1") == "DDEVR002"
    assert rules.own_code(None, "prt_1") == "prt_1"
    assert rules.own_code("prt_1", "prt_1") == "prt_1"


@pytest.mark.parametrize("code", ["prt_2", "PRT_1", "direct", "Direct"])
def test_what_could_be_mistaken_for_another_id_is_reserved(code: str) -> None:
    with pytest.raises(rules.ReservedPartnerId):
        rules.own_code(code, "prt_1")


def test_a_change_holds_what_differs() -> None:
    given = {"name": "Jacob", "country": "IL", "data_center": None, "contact_person": None}
    assert rules.change(a_partner(), given) == Change(country="IL", data_center=None)
    assert rules.change(a_partner(), {}) == Change()
    assert rules.change(a_partner(), {"partner_code": None}) == Change(partner_code="prt_1")
    assert rules.change(a_partner(), {"partner_code": "DDEVR002"}) == Change()


def test_another_code_is_needed_when_more_than_capitals_differ() -> None:
    assert rules.needs_another_code(a_partner(), Change(partner_code="X"))
    assert not rules.needs_another_code(a_partner(), Change(partner_code="ddevr002"))
    assert not rules.needs_another_code(a_partner(), Change(name="X"))


def test_a_partner_is_removed_without_accounts_only() -> None:
    rules.remove(a_partner())
    with pytest.raises(rules.PartnerHasAccounts):
        rules.remove(a_partner(account_count=1))


def test_a_change_is_told_in_words() -> None:
    change = Change(name="Anderson", partner_code="X", contact_person=None)
    assert rules.described(a_partner(), change) == (
        "Changed partner Jacob: name to Anderson, Partner ID to X, contact person to nothing"
    )
