from typing import Any

import boto3
import pytest

from portal import keys
from portal.accounts import purge as purging
from portal.accounts import rules
from portal.accounts.records import find_account_at, find_entries
from portal.adapters import files
from portal.billing.records import find_usage
from portal.change import Change
from portal.identity.records import EmailOwner, User, find_email_owner
from portal.journal import AuditEntry
from portal.scope import EVERYTHING
from portal.settings import settings
from portal.table import Put, Update, list_sort_keys, query, stage, write
from portal.tree import Node
from tests.builders import (
    a_distributor,
    a_partner,
    a_user_of,
    an_account,
    an_email,
    deliver_mail,
    link_in,
    the_account,
)
from tests.trees import a_task, an_entity, store
from tests.world import Context, World, administrator

MONTHLY = {"mode": "subscription_without_trial", "plan": "monthly"}


def remove(world: World, node: Node) -> None:
    reseller = node.distributor_node if node.is_direct else node.partner_node
    path, body = {"account_id": node.account}, {"approve_data_removal": True}
    answer = world.call("accounts.remove_account", administrator(reseller), path=path, body=body)
    assert answer.status == 200, answer.text


def confirm_purge(world: World, node: Node) -> None:
    account = the_account(node)
    write([stage(Update(account, rules.data_purged(account, world.now)))])


def purge(world: World, times: int = 1) -> None:
    for _ in range(times):
        world.run("accounts.run_purge")
        world.work("accounts.on_purge", "Purge")


def left_of(node: Node) -> set[str]:
    """The kinds of items in the account's partition."""
    return {keys.split(sk)[0] for sk in list_sort_keys(keys.node(node))}


def partner_accounts(world: World, partner: Node) -> int:
    path = {"partner_id": partner.partner}
    count: int = world.call("partners.get_partner", administrator(partner.distributor_node), path=path).json[
        "account_count"
    ]
    return count


def with_data(world: World, node: Node, entities: int = 3) -> None:
    store(a_task(node, "tsk_1", world.now))
    store(*(an_entity(node, "tsk_1", f"ent_{n}", world.now) for n in range(entities)))
    files.put(f"reports/{node}/rep_1/report.zip", b"zip", "application/zip")


def files_of(node: Node) -> int:
    found: dict[str, Any] = boto3.client("s3").list_objects_v2(
        Bucket=settings.bucket_name, Prefix=f"reports/{node}/"
    )
    return int(found["KeyCount"])


def test_the_engine_is_told_again_every_day_until_it_confirms(world: World) -> None:
    account = an_account(world, a_distributor(world, an_email()))
    remove(world, account)
    world.stream("notifications.deliver_outbox")
    world.messages("EngineCommands")
    for _ in range(3):
        world.advance(hours=23)
        purge(world)
        world.stream("notifications.deliver_outbox")
        assert world.messages("EngineCommands") == []
        world.advance(hours=1)
        purge(world, times=2)
        world.stream("notifications.deliver_outbox")
        assert [command["command"] for command in world.messages("EngineCommands")] == ["account.purge"]
    assert left_of(account) >= {"NODE", "USER"}
    assert find_usage(EVERYTHING, account)


def test_a_trial_is_gone_at_once_but_for_its_audit_trail(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    account = an_account(world, partner, email="rosy@example.com")
    with_data(world, account)
    assert world.call("audit.request_audit_export", administrator(account), body={}).status == 202
    trail = list(query(AuditEntry, keys.node(account), "AUDIT#"))
    files.put(f"reports/{account}2/rep_1/report.zip", b"a neighbour's", "application/zip")
    world.stream("dashboard.keep_rollups")
    remove(world, account)
    record = the_account(account)
    confirm_purge(world, account)
    assert partner_accounts(world, partner) == 1
    purge(world, times=2)
    assert left_of(account) == {"AUDIT"}
    assert find_usage(EVERYTHING, account) is None
    kept = list(query(AuditEntry, keys.node(account), "AUDIT#"))
    assert [entry.attribute_values for entry in kept[: len(trail)]] == [
        entry.attribute_values for entry in trail
    ]
    assert files_of(account) == 0
    assert find_entries(record) == []
    assert partner_accounts(world, partner) == 0
    assert files.exists(f"reports/{account}2/rep_1/report.zip")
    again = an_account(world, partner, email="Rosy@example.com")
    assert the_account(again).email == "Rosy@example.com"
    world.stream("dashboard.keep_rollups")
    assert world.call("dashboard.get_dashboard", administrator(partner)).json["total_accounts"] == 1


def test_an_address_is_taken_until_the_data_is_purged(world: World) -> None:
    distributor = a_distributor(world, an_email())
    account = an_account(world, distributor, email="rosy@example.com")
    remove(world, account)
    body = {"name": "Another", "email": "rosy@example.com"}
    answer = world.call("accounts.create_account", administrator(distributor), body=body)
    assert (answer.status, answer.code) == (409, "email_taken")
    confirm_purge(world, account)
    purge(world)
    assert world.call("accounts.create_account", administrator(distributor), body=body).status == 201


def test_what_was_subscribed_is_kept_unseen_until_its_last_bill(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    account = an_account(world, partner, subscription={**MONTHLY, "plan": "annual"})
    with_data(world, account)
    remove(world, account)
    confirm_purge(world, account)
    purge(world, times=2)
    assert left_of(account) - {"AUDIT"} == {"NODE", "RENEWAL"}
    assert find_usage(EVERYTHING, account)
    assert world.call("accounts.list_accounts", administrator(partner)).json["total"] == 0
    path = {"account_id": account.account}
    assert world.call("accounts.get_account", administrator(partner), path=path).status == 404
    assert partner_accounts(world, partner) == 0
    world.advance(days=40)
    purge(world)
    assert "NODE" in left_of(account)
    record = find_account_at(EVERYTHING, account)
    assert record is not None
    write([stage(Update(record, rules.finally_billed(record, world.now)))])
    purge(world, times=2)
    assert left_of(account) <= {"AUDIT"}
    assert find_entries(record) == []
    assert partner_accounts(world, partner) == 0


def test_a_last_bill_before_the_purge_lets_all_go_together(world: World) -> None:
    account = an_account(world, a_distributor(world, an_email()), subscription=MONTHLY)
    remove(world, account)
    write([stage(Update(record := the_account(account), rules.finally_billed(record, world.now)))])
    purge(world)
    assert "NODE" in left_of(account)
    confirm_purge(world, account)
    purge(world)
    assert left_of(account) <= {"AUDIT"}


def test_without_time_it_goes_on_in_a_new_message(world: World) -> None:
    account = an_account(world, a_distributor(world, an_email()))
    with_data(world, account, entities=30)
    remove(world, account)
    confirm_purge(world, account)
    world.context = Context(milliseconds=1)
    world.deliver("accounts.on_purge", {"account": str(account)})
    assert "ENTITY" in left_of(account)
    world.context = Context()
    assert world.work("accounts.on_purge", "Purge") == 1
    assert left_of(account) <= {"AUDIT"}


def test_what_comes_in_while_items_are_deleted_is_deleted_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = an_account(world, a_distributor(world, an_email()))
    remove(world, account)
    confirm_purge(world, account)
    come: list[bool] = []

    def delete_prefix(prefix: str) -> int:
        if not come:
            come.append(True)
            record = the_account(account)
            late = an_entity(account, "tsk_1", "ent_late", world.now)
            write([stage(Put(late)), stage(Update(record, Change(size_bytes=5)))])
        return 0

    monkeypatch.setattr(files, "delete_prefix", delete_prefix)
    purge(world)
    assert left_of(account) <= {"AUDIT"}


def test_an_account_that_nobody_removed_is_not_purged(world: World) -> None:
    account = an_account(world, a_distributor(world, an_email()))
    with_data(world, account)
    before = left_of(account)
    world.advance(days=2)
    world.deliver("accounts.on_purge", {"account": str(account)})
    assert left_of(account) == before
    assert files_of(account) == 1


def test_an_address_that_is_no_users_any_more_is_free_as_well(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    account, own, of_user = an_account(world, partner, email="rosy@example.com"), an_email(), an_email()
    deliver_mail(world)
    changed = world.call("settings.change_account_settings", administrator(account), body={"email": own})
    assert changed.status == 200
    link = next(link_in(mail) for mail in deliver_mail(world) if mail.to == own)
    assert world.call("identity.confirm_email", body={"token": link}).status == 204
    a_user_of(world, account, email=of_user)
    remove(world, account)
    confirm_purge(world, account)
    addresses = ["rosy@example.com", own, of_user]
    assert all(find_email_owner(address) for address in addresses)
    purge(world)
    assert [find_email_owner(address) for address in addresses] == [None] * 3


def test_the_address_of_who_appears_while_it_is_erased_is_free_as_well(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = an_account(world, a_distributor(world))
    remove(world, account)
    confirm_purge(world, account)
    done = list[bool]()
    given = {"email": "late@example.com", "name": "L", "role": "administrator", "state": "invited"}
    late = User(keys.node(account), keys.user("usr_late"), user_id="usr_late", permissions=[], **given)
    owner = EmailOwner(*keys.email(late.email), path=str(account), user_id=late.user_id)
    close = purging.close_usage

    def meanwhile(*of: Any) -> None:
        if not done:
            done.append(True)
            store(late, owner)
        close(*of)

    monkeypatch.setattr(purging, "close_usage", meanwhile)
    world.advance(days=40)
    purge(world, times=2)
    assert done == [True]
    assert find_email_owner(late.email) is None
    assert "USER" not in left_of(account)
