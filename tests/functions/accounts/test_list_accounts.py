from portal.tree import Node
from tests.builders import a_distributor, a_partner, an_account, an_email
from tests.trees import a_user, store
from tests.world import World, administrator


def listed(world: World, portal: Node, **query: str) -> list[str]:
    answer = world.call("accounts.list_accounts", administrator(portal), query=query or None)
    assert answer.status == 200, answer.text
    return [row["name"] for row in answer.json["items"]]


def test_a_partner_lists_its_accounts_and_a_distributor_its_direct_ones(world: World) -> None:
    distributor = a_distributor(world, an_email())
    partner, other = a_partner(world, distributor, an_email()), a_partner(world, distributor, an_email())
    an_account(world, partner, name="Of the partner")
    an_account(world, other, name="Of another")
    an_account(world, distributor, name="Direct")
    an_account(world, a_distributor(world, an_email()), name="Of another distributor")
    assert listed(world, partner) == ["Of the partner"]
    assert listed(world, distributor) == ["Direct"]


def test_money_is_absent_for_partners_not_empty(world: World) -> None:
    distributor = a_distributor(world, an_email())
    partner = a_partner(world, distributor, an_email())
    an_account(world, partner), an_account(world, distributor)
    (of_partner,) = world.call("accounts.list_accounts", administrator(partner)).json["items"]
    (direct,) = world.call("accounts.list_accounts", administrator(distributor)).json["items"]
    assert not {"amount", "billing_status"} & set(of_partner)
    assert (direct["billing_status"], direct["amount"]) == ("trial", None)
    entered = administrator(partner, home=distributor)
    assert world.call("accounts.list_accounts", entered).json["items"] == [of_partner]


def test_a_partner_cannot_filter_or_sort_by_billing_status(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    for query in ({"billing_status": "overdue"}, {"sort": "-billing_status"}):
        answer = world.call("accounts.list_accounts", administrator(partner), query=query)
        assert (answer.status, answer.code) == (400, "invalid")


def test_filters_and_sorting_apply_to_the_whole_list_across_pages(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    for name in ("Émile", "alf", "Zoe", "bob", "Eric"):
        an_account(world, partner, name=name)
    an_account(
        world, partner, name="Ann", subscription={"mode": "subscription_without_trial", "plan": "annual"}
    )
    assert listed(world, partner, account_status="annual_subscribed") == ["Ann"]
    assert listed(world, partner, search="em") == ["Émile"]
    query, found = {"limit": "2", "sort": "-name", "account_status": "trial_started"}, []
    while True:
        page = world.call("accounts.list_accounts", administrator(partner), query=query).json
        found += [row["name"] for row in page["items"]]
        assert page["total"] == 5
        if page["next_cursor"] is None:
            break
        query = {**query, "cursor": page["next_cursor"]}
    assert found == ["Zoe", "Eric", "Émile", "bob", "alf"]


def test_the_status_of_a_trial_is_exact_without_any_job(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    an_account(world, partner)
    world.advance(days=10, hours=23, minutes=59, seconds=59)
    assert len(listed(world, partner, account_status="trial_started")) == 1
    world.advance(seconds=1)
    assert len(listed(world, partner, account_status="trial_expiring")) == 1
    world.advance(days=2, hours=23, minutes=59, seconds=59)
    assert len(listed(world, partner, account_status="trial_expiring")) == 1
    world.advance(seconds=1)
    assert len(listed(world, partner, account_status="trial_expired")) == 1


def test_a_limited_user_sees_and_counts_only_accessible_accounts(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    shown, _ = an_account(world, partner, name="Shown"), an_account(world, partner, name="Hidden")
    limited = administrator(partner, "usr_limited")
    store(a_user(limited, world.now, accessible=[shown.account]))
    caller = type(limited).from_context({**limited.to_context(), "limited": "yes"})
    page = world.call("accounts.list_accounts", caller).json
    assert [row["name"] for row in page["items"]] == ["Shown"]
    assert page["total"] == 1
