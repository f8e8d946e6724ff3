from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from portal.errors import Invalid
from portal.reports import rules

NOW = datetime(2023, 1, 10, 12, tzinfo=UTC)


def a_report(state: str) -> Any:
    return SimpleNamespace(state=state, touched_at=NOW)


def test_finished_reports_make_room_for_more() -> None:
    waiting = [a_report("waiting") for _ in range(4)]
    rules.admit([*waiting, a_report("ready")], NOW)
    with pytest.raises(rules.TooManyReports):
        rules.admit([*waiting, a_report("running")], NOW)


def test_accounts_are_chosen_one_way() -> None:
    rules.check_choice(["acc"], {})
    rules.check_choice(None, {"search": "x"})
    with pytest.raises(Invalid):
        rules.check_choice(["acc"], {"search": "x"})
