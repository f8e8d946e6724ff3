"""The real template, built and deployed: a month over HTTP, its bill recomputed; a restart; the engine."""

import pytest

from local.api import Api
from local.people import PASSWORD
from tests.e2e.conftest import LocalCloud

pytestmark = pytest.mark.xdist_group("local_cloud")

_TURNS = 30


def test_a_month_is_billed_to_the_cent(month: dict[str, str]) -> None:
    assert month["differences"] == "0"
    assert int(month["accounts"]) == 12
    assert int(month["lines"]) > 3
    assert float(month["total"].removesuffix(" USD")) > 10


def test_after_a_restart_all_is_there_and_activating_a_task_leads_to_a_backup(
    local_cloud: LocalCloud, month: dict[str, str]
) -> None:
    local_cloud.run("-m", "local.cloud", "stop")
    local_cloud.run("-m", "local.cloud", "up")

    api = Api(local_cloud.outputs()["Api"]).sign_in(month["administrator"], PASSWORD)
    [bill] = api.get("/billing/history", kind="monthly")["items"]
    assert f"{bill['amount']['amount']} USD" == month["total"]

    account = api.post("/accounts", {"name": "Rosy White", "email": "rosy.white@customers.example.com"})
    tasks = f"/accounts/{account['account_id']}/tasks"
    task = api.post(tasks, {"service": "dropbox", "name": "Drives"})
    api.post(f"{tasks}/activate", {"task_ids": [task["task_id"]]})

    # The command comes to the engine through the table's stream, a moment later.
    for _ in range(_TURNS):
        local_cloud.run("-m", "local.engine", "--once")
        backed_up = api.get(f"{tasks}/{task['task_id']}")
        if backed_up["last_run"]:
            break
    assert backed_up["last_run"]["status"] == "success"
    assert backed_up["entity_count"] >= 3
    assert backed_up["size_bytes"] > 0
