"""The real template, built and deployed: a month over HTTP, its bill recomputed; and the simulated engine."""

import pytest

from local.api import Api
from local.people import PASSWORD
from tests.e2e.conftest import LocalCloud

_TURNS = 30

pytestmark = pytest.mark.xdist_group("local_cloud")


def test_a_month_is_billed_to_the_cent_and_the_engine_backs_up_what_is_activated(
    local_cloud: LocalCloud,
) -> None:
    printed = local_cloud.run("-m", "local.month", "--partners", "2", "--accounts", "12", "--seed", "3")

    figures = {
        line[:20].strip(): line[20:].strip() for line in printed.splitlines() if not line.endswith(" s")
    }
    assert figures["differences"] == "0"
    assert int(figures["lines"]) > 3

    api = Api(local_cloud.outputs()["Api"]).sign_in(figures["administrator"], PASSWORD)
    account = api.post("/accounts", {"name": "Rosy White", "email": "rosy.white@customers.example.com"})
    tasks = f"/accounts/{account['account_id']}/tasks"
    task = api.post(tasks, {"service": "dropbox", "name": "Drives"})
    api.post(f"{tasks}/activate", {"task_ids": [task["task_id"]]})

    # The command comes through the table's stream, a moment later.
    for _ in range(_TURNS):
        local_cloud.run("-m", "local.engine", "--once")
        backed_up = api.get(f"{tasks}/{task['task_id']}")
        if backed_up["last_run"]:
            break
    assert backed_up["last_run"]["status"] == "success"
    assert backed_up["entity_count"] >= 3
    assert backed_up["size_bytes"] > 0
