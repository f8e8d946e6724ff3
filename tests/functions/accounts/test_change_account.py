import pytest

from portal import keys
from portal.change import Change
from portal.journal import AuditEntry
from portal.table import Update, query, stage, write
from portal.tree import Node
from tests.builders import a_distributor, a_partner, an_account, an_email, the_account
from tests.world import World, administrator


def trail(portal: Node) -> list[tuple[str, str]]:
    return [(entry.activity, entry.description) for entry in query(AuditEntry, keys.node(portal), "AUDIT")]


def test_a_new_name_shows_and_is_audited(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    account = an_account(world, partner, name="Rosy", email="rosy@example.com")
    path = {"account_id": account.account}
    answer = world.call("accounts.change_account", administrator(partner), path=path, body={"name": " Rose "})
    assert (answer.status, answer.json["name"]) == (200, "Rose")
    assert world.call("accounts.get_account", administrator(partner), path=path).json["name"] == "Rose"
    changed = ("changed account name", "Changed the name of rosy@example.com from Rosy to Rose")
    assert trail(partner).count(changed) == 1


def test_a_change_to_what_is_there_already_is_none(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    account = an_account(world, partner, name="Rosy")
    before = len(trail(partner)), the_account(account).version
    for body in ({"name": "Rosy"}, {}, {"name": None}):
        path = {"account_id": account.account}
        assert (
            world.call("accounts.change_account", administrator(partner), path=path, body=body).status == 200
        )
    assert (len(trail(partner)), the_account(account).version) == before


def test_the_data_center_changes_only_before_there_is_data(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    account = an_account(world, partner, data_center="eu")
    path = {"account_id": account.account}
    moved = world.call(
        "accounts.change_account", administrator(partner), path=path, body={"data_center": "us"}
    )
    assert moved.json["data_center"] == "us"
    write([stage(Update(the_account(account), Change(size_bytes=5)))])
    answer = world.call(
        "accounts.change_account", administrator(partner), path=path, body={"data_center": "eu"}
    )
    assert (answer.status, answer.code) == (409, "data_center_in_use")


@pytest.mark.parametrize("wrong", [{"name": ""}, {"email": "new"}, {"state": "subscribed"}])
def test_other_things_do_not_change(world: World, wrong: dict[str, str]) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    path = {"account_id": an_account(world, partner).account}
    answer = world.call("accounts.change_account", administrator(partner), path=path, body=wrong)
    assert (answer.status, answer.code) == (400, "invalid")


def test_a_foreign_account_does_not_exist(world: World) -> None:
    distributor = a_distributor(world, an_email())
    path = {"account_id": an_account(world, distributor).account}
    stranger = administrator(a_partner(world, distributor, an_email()))
    assert world.call("accounts.change_account", stranger, path=path, body={"name": "Mine"}).status == 404
