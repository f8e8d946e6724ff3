"""The sample events of tasks, engine and usage are what their handlers take."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine_events import NOON
from tests.trees import plant
from tests.world import World

EVENTS = Path(__file__).parents[3] / "events"


@pytest.mark.parametrize(
    ("function", "answered"),
    [
        ("engine.report_events", '"result":"accepted"},{'),
        ("tasks.create_task", '"state":"paused"'),
        ("billing.run_usage_snapshot", {"as_of": "2023-01-12T00:20:00+00:00", "messages": 1}),
        ("billing.on_usage_due", {"batchItemFailures": []}),
    ],
)
def test_a_sample_does_what_it_says(world: World, function: str, answered: Any) -> None:
    plant(NOON)
    answer = world.invoke(function, json.loads((EVENTS / f"{function}.json").read_text()))
    if isinstance(answered, str):
        assert answered in answer["body"]
    else:
        assert answer == answered
