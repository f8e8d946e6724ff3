from types import SimpleNamespace
from typing import Any

import pytest

from portal.billing.method import ContactSupport, chosen
from portal.change import Change


def distributor(method: str | None) -> Any:
    return SimpleNamespace(billing_method=method)


def test_the_first_choice_is_a_change() -> None:
    assert chosen(distributor(None), "invoice") == Change(billing_method="invoice")


@pytest.mark.parametrize("before", ["invoice", "credit_card"])
def test_a_second_choice_is_the_supports(before: str) -> None:
    with pytest.raises(ContactSupport):
        chosen(distributor(before), "invoice")
