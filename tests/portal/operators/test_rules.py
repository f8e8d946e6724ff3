from types import SimpleNamespace
from typing import Any

import pytest

from portal.operators import rules


def operators(*states: str) -> Any:
    return [SimpleNamespace(state=state) for state in states]


def test_the_vendor_begins_until_somebody_can_sign_in() -> None:
    rules.may_begin(operators())
    rules.may_begin(operators("invited", "invited"))


@pytest.mark.parametrize("states", [("active",), ("invited", "active"), ("disabled",)])
def test_afterwards_operators_invite_one_another(states: tuple[str, ...]) -> None:
    with pytest.raises(rules.OperatorExists):
        rules.may_begin(operators(*states))
