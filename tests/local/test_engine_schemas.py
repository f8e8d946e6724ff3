import json

import pytest
from jsonschema import Draft202012Validator, ValidationError

from local.engine_schemas import FOLDER, commands_schema, documents, events_schema
from portal.engine import commands
from portal.tree import Node
from tests.engine_events import backup, changed, event, on

NODE = Node("dst_1", "prt_1", "acc_1")
EVENTS = [
    changed(NODE, "tsk_1", on(9)),
    backup(NODE, "tsk_1", on(9)),
    event(NODE, "discovery.completed", on(9), task_id="tsk_1", vanished=["m1"]),
    event(NODE, "restore.completed", on(9), restore_id="rst_1", status="success"),
    event(NODE, "export.completed", on(9), export_id="exp_1", status="failed"),
    event(NODE, "purge.completed", on(9)),
]


def test_the_files_are_in_step_with_the_models() -> None:
    for path, text in documents().items():
        assert path.read_text() == text, f"{path.name}: run python -m local.engine_schemas"


def test_they_are_valid_schemas_of_what_is_sent() -> None:
    for path in sorted(FOLDER.glob("engine-*.schema.json")):
        Draft202012Validator.check_schema(json.loads(path.read_text()))
    Draft202012Validator(commands_schema()).validate(commands.purge_account(NODE).body)
    Draft202012Validator(events_schema()).validate({"events": EVENTS})


@pytest.mark.parametrize("wrong", [{"type": "weather"}, {"entities": []}, {"extra": 1}, {"event_id": "a#b"}])
def test_what_is_wrong_does_not_fit(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Draft202012Validator(events_schema()).validate({"events": [EVENTS[0] | wrong]})
