from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from portal.change import Change
from portal.streamed_files import rules

NOW = datetime(2023, 1, 10, 12, tzinfo=UTC)


def a_file(**values: Any) -> Any:
    usual = {
        "called": "report",
        "state": "waiting",
        "turn": 0,
        "attempts": 0,
        "claims": 0,
        "touched_at": NOW,
        "finished_at": None,
    }
    return SimpleNamespace(**(usual | values))


def test_whoever_begins_a_turn_claims_it() -> None:
    file = a_file(state="running", turn=3, attempts=1, claims=5)
    assert rules.begin_turn(file, 3, NOW) == Change(state="running", attempts=2, claims=6, touched_at=NOW)


@pytest.mark.parametrize("file", [a_file(turn=2), a_file(state="ready"), a_file(state="failed")])
def test_a_turn_that_is_over_is_not_begun_again(file: Any) -> None:
    assert rules.begin_turn(file, 0, NOW) is None


@pytest.mark.parametrize("worn_out", [{"attempts": 4}, {"claims": 98}])
def test_after_too_many_attempts_the_file_fails(worn_out: dict[str, int]) -> None:
    change = rules.begin_turn(a_file(**worn_out), 0, NOW)
    assert change is not None
    assert (change["state"], change["failure"][:32]) == ("failed", "The report could not be written.")


def test_the_next_turn_has_all_its_attempts() -> None:
    change = rules.end_turn(a_file(turn=1, attempts=3), {"rows": 7}, NOW)
    assert change == Change(turn=2, attempts=0, progress={"rows": 7}, rows=7, touched_at=NOW)


def test_a_finished_file_expires_and_its_record_with_it() -> None:
    expires_at = int((NOW + timedelta(days=30)).timestamp())
    for change in (rules.finish(5, 100, NOW), rules.fail("No.", NOW)):
        assert (change["finished_at"], change["expires_at"]) == (NOW, expires_at)


@pytest.mark.parametrize(
    ("age", "shown"), [(timedelta(hours=24), "running"), (timedelta(hours=24, seconds=1), "failed")]
)
def test_what_nobody_worked_on_for_a_day_has_failed(age: timedelta, shown: str) -> None:
    assert rules.state(a_file(state="running", touched_at=NOW - age), NOW) == shown


def test_finished_files_make_room_for_more() -> None:
    waiting = [a_file() for _ in range(4)]
    assert rules.has_room([*waiting, a_file(state="ready")], NOW)
    assert not rules.has_room([*waiting, a_file(state="running")], NOW)
