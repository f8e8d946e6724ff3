from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from portal.change import Change
from portal.errors import Invalid
from portal.reports import rules

NOW = datetime(2023, 1, 10, 12, tzinfo=UTC)


def a_report(**values: Any) -> Any:
    usual = {
        "state": "waiting",
        "turn": 0,
        "attempts": 0,
        "claims": 0,
        "touched_at": NOW,
        "finished_at": None,
    }
    return SimpleNamespace(**(usual | values))


def test_whoever_begins_a_turn_claims_it() -> None:
    report = a_report(state="running", turn=3, attempts=1, claims=5)
    assert rules.begin_turn(report, 3, NOW) == Change(state="running", attempts=2, claims=6, touched_at=NOW)


@pytest.mark.parametrize("report", [a_report(turn=2), a_report(state="ready"), a_report(state="failed")])
def test_a_turn_that_is_over_is_not_begun_again(report: Any) -> None:
    assert rules.begin_turn(report, 0, NOW) is None


@pytest.mark.parametrize("worn_out", [{"attempts": 4}, {"claims": 98}])
def test_after_too_many_attempts_the_report_fails(worn_out: dict[str, int]) -> None:
    change = rules.begin_turn(a_report(**worn_out), 0, NOW)
    assert change is not None
    assert (change["state"], change["failure"]) == ("failed", rules.GAVE_UP)


def test_the_next_turn_has_all_its_attempts() -> None:
    change = rules.end_turn(a_report(turn=1, attempts=3), {"rows": 7}, NOW)
    assert change == Change(turn=2, attempts=0, progress={"rows": 7}, rows=7, touched_at=NOW)


def test_a_finished_report_expires_with_its_file() -> None:
    expires_at = int((NOW + timedelta(days=30)).timestamp())
    for change in (rules.finish(5, 100, NOW), rules.fail("No.", NOW)):
        assert (change["finished_at"], change["expires_at"]) == (NOW, expires_at)


@pytest.mark.parametrize(
    ("age", "shown"), [(timedelta(hours=24), "running"), (timedelta(hours=24, seconds=1), "failed")]
)
def test_what_nobody_worked_on_for_a_day_has_failed(age: timedelta, shown: str) -> None:
    assert rules.state(a_report(state="running", touched_at=NOW - age), NOW) == shown


def test_finished_reports_make_room_for_more() -> None:
    waiting = [a_report() for _ in range(4)]
    rules.admit([*waiting, a_report(state="ready")], NOW)
    with pytest.raises(rules.TooManyReports):
        rules.admit([*waiting, a_report(state="running")], NOW)


def test_accounts_are_chosen_one_way() -> None:
    rules.check_choice(["acc"], {})
    rules.check_choice(None, {"search": "x"})
    with pytest.raises(Invalid):
        rules.check_choice(["acc"], {"search": "x"})
