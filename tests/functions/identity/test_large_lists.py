"""Users with long lists of accessible partners and accounts: up to 20,000."""

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from portal import ids as portal_ids
from portal import keys
from portal.access import AccessList, accessible_to
from portal.accounts.records import DirectoryEntry, new_account
from portal.change import Change
from portal.identity import managing
from portal.operation import LARGEST_BODY
from portal.partners.records import PartnerCode
from portal.table import Item, query
from portal.tree import DIRECT, Node
from tests.builders import a_distributor, a_partner, a_user_of, an_account
from tests.support.harness import Harness
from tests.trees import store
from tests.world import Answer, World, administrator

SEVERAL = 400
"""More than are looked up one by one."""


def ids(prefix: str, number: int) -> list[str]:
    """As long as real ones."""
    return [f"{prefix}_01gq9k3v5ey8s4h1m2c7d{each:05d}" for each in range(number)]


def change(world: World, portal: Node, user_id: str, accessible: list[str]) -> Answer:
    body = {"accessible_accounts": accessible}
    return world.call("identity.change_user", administrator(portal), path={"user_id": user_id}, body=body)


def test_20_000_are_taken_at_once(world: World, harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is another test's: moto takes a minute to look through as many entries."""
    monkeypatch.setattr(managing, "known", lambda scope, listed: set(listed))
    distributor = a_distributor(world)
    user = a_user_of(world, distributor, role="custom", permissions=["dashboard.view"])
    everything = ids("prt", 8_000) + ids("acc", 12_000)
    assert len(json.dumps({"accessible_accounts": everything})) < LARGEST_BODY
    before = harness.counts.snapshot()
    answer = change(world, distributor, user.user_id, everything[::-1])
    used = harness.counts.since(before)
    assert (answer.status, answer.json["accessible_accounts"]) == (200, sorted(everything))
    assert len(answer.text) < 6_000_000
    assert used.calls == Counter(
        {"dynamodb.Query": 1, "dynamodb.GetItem": 1, "dynamodb.TransactWriteItems": 1}
    )
    assert used.total_write_units < 1_500
    limited = replace(user, limited=True)
    assert accessible_to(limited) == frozenset(everything)
    # Only the parts that differ are written again.
    before = harness.counts.snapshot()
    in_order = sorted(everything)
    assert change(world, distributor, user.user_id, in_order[:-1]).status == 200
    assert harness.counts.since(before).total_write_units < 400
    assert accessible_to(limited) == frozenset(in_order[:-1])
    assert change(world, distributor, user.user_id, everything[:1]).status == 200
    parts = query(AccessList, keys.node(distributor), keys.access_list(user.user_id))
    assert [part.accessible_ids for part in parts] == [everything[:1]]
    too_many = change(world, distributor, user.user_id, [*everything, "acc_one_more"])
    assert (too_many.status, too_many.code) == (400, "invalid")


def test_20_000_are_answered_again_to_who_repeats_the_request(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer that is kept has to fit into one item, random as real ids are."""
    monkeypatch.setattr(managing, "known", lambda scope, listed: set(listed))
    distributor = a_distributor(world)
    start = world.now
    listed = [portal_ids.new("acc", start + timedelta(seconds=number * 997)) for number in range(20_000)]
    body = {"email": "r@example.com", "name": "R", "role": "administrator", "accessible_accounts": listed}
    by, headers = administrator(distributor), {"idempotency-key": "once"}
    answers = [world.call("identity.create_user", by, body=body, headers=headers) for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].json == answers[1].json
    assert answers[1].headers["Idempotent-Replayed"] == "true"


def test_a_long_list_is_checked_in_few_reads(world: World, harness: Harness) -> None:
    distributor = a_distributor(world)
    user = a_user_of(world, distributor, role="custom", permissions=[])
    partner_ids, account_ids, pk = ids("prt", SEVERAL), ids("acc", SEVERAL), keys.node(distributor)
    store(
        *(PartnerCode(pk, keys.partner_code(f"CODE{each}"), partner_id=each) for each in partner_ids),
        *(
            DirectoryEntry(pk, keys.directory(each), account_id=each, partner_id=DIRECT)
            for each in account_ids
        ),
        DirectoryEntry(pk, keys.directory("acc_other"), account_id="acc_other", partner_id=partner_ids[0]),
    )
    before = harness.counts.snapshot()
    answer = change(world, distributor, user.user_id, partner_ids + account_ids)
    used = harness.counts.since(before)
    assert answer.status == 200
    # A query for the partners, one for the accounts, one for the list there was.
    assert used.calls == Counter(
        {"dynamodb.Query": 3, "dynamodb.GetItem": 1, "dynamodb.TransactWriteItems": 1}
    )
    assert used.total_read_units < 60
    unknown = [f"prt_never_{number:03d}" for number in range(60)]
    answer = change(world, distributor, user.user_id, [*partner_ids, *account_ids, "acc_other", *unknown])
    assert answer.status == 400
    assert answer.json["detail"] == "61 of the accessible accounts cannot be found."
    named = [f"There is no {each} here." for each in ["acc_other", *unknown[:49]]]
    assert [each["message"] for each in answer.json["errors"]] == named
    limited = a_user_of(world, distributor, accessible_accounts=[])
    path, body = {"user_id": user.user_id}, {"accessible_accounts": partner_ids + account_ids}
    answer = world.call("identity.change_user", limited, path=path, body=body)
    assert (answer.status, answer.code) == (403, "holds_more")


def test_a_partners_list_is_checked_by_its_own_items(world: World, harness: Harness) -> None:
    """No request of a partner reads its distributor's directory: the harness would tell."""
    distributor = a_distributor(world)
    partner, other = a_partner(world, distributor), a_partner(world, distributor, "other@example.com")
    user = a_user_of(world, partner, role="custom", permissions=[])
    accounts = [
        new_account(
            partner.child(each), "Rosy", "rosy@example.com", None, world.now,
            Change(state="trial", subscription_default={}),
        )
        for each in ids("acc", 250)
    ]  # fmt: skip
    accounts[-1].state = "removed"
    store(*accounts)
    listed = [account.account_id for account in accounts]
    before = harness.counts.snapshot()
    answer = change(world, partner, user.user_id, listed)
    assert harness.counts.since(before).calls["dynamodb.BatchGetItem"] == 3
    assert [each["message"] for each in answer.json["errors"]] == [f"There is no {listed[-1]} here."]
    assert change(world, partner, user.user_id, listed[:-1]).status == 200
    foreign = an_account(world, other)
    assert change(world, partner, user.user_id, [foreign.account]).status == 400
    assert change(world, partner, user.user_id, [other.partner]).status == 400


def test_what_a_list_may_name_is_what_operations_make(world: World) -> None:
    """The few reads above look at items that ordinary operations write."""
    distributor = a_distributor(world)
    partner = a_partner(world, distributor, partner_id="DDEVR002")
    direct = an_account(world, distributor)
    stored = list(Item.query(keys.node(distributor), consistent_read=True))
    assert [each.partner_id for each in stored if isinstance(each, PartnerCode)] == [partner.partner]
    assert [each.account_id for each in stored if isinstance(each, DirectoryEntry)] == [direct.account]
