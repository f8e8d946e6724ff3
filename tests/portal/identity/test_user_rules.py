from typing import Any

import pytest

from portal import keys
from portal.change import Change
from portal.errors import Invalid
from portal.identity import user_rules as rules
from portal.identity.records import User
from portal.identity.user_rules import Holding
from portal.permissions import HELD_ON, Permission
from portal.tree import VENDOR, Node, Tier

DISTRIBUTOR = Node("dst_1")
VIEW, ADD, RESTORE, USERS = (
    Permission.DASHBOARD_VIEW,
    Permission.ACCOUNTS_ADD,
    Permission.ACCOUNT_RESTORE,
    Permission.USERS_MANAGE,
)


def a_user(user_id: str = "usr_1", **values: Any) -> User:
    usual = {
        "email": "robin@example.com",
        "name": "Robin",
        "role": "administrator",
        "permissions": [],
        "state": "active",
    }
    return User(keys.node(DISTRIBUTOR), keys.user(user_id), user_id=user_id, **usual | values)


@pytest.mark.parametrize("tier", list(Tier))
def test_each_tier_has_its_own_permissions(tier: Tier) -> None:
    for permission in Permission:
        together = {permission} | ({VIEW} & HELD_ON[tier])
        if permission in HELD_ON[tier]:
            rules.check_role(tier, "custom", together)
        else:
            with pytest.raises(Invalid):
                rules.check_role(tier, "custom", together)


@pytest.mark.parametrize("tier", [Tier.DISTRIBUTOR, Tier.PARTNER])
def test_account_permissions_need_a_way_to_the_accounts(tier: Tier) -> None:
    for way in (VIEW, ADD):
        rules.check_role(tier, "custom", [way, RESTORE])
    with pytest.raises(Invalid):
        rules.check_role(tier, "custom", [RESTORE, USERS])
    rules.check_role(Tier.ACCOUNT, "custom", [RESTORE])


def test_an_administrators_permissions_are_not_named() -> None:
    rules.check_role(Tier.DISTRIBUTOR, "administrator", [])
    with pytest.raises(Invalid):
        rules.check_role(Tier.DISTRIBUTOR, "administrator", [VIEW])


@pytest.mark.parametrize("tier", list(Tier))
def test_lists_are_for_portals_with_something_below(tier: Tier) -> None:
    rules.check_list(tier, None)
    if tier in (Tier.DISTRIBUTOR, Tier.PARTNER):
        rules.check_list(tier, [])
    else:
        with pytest.raises(Invalid):
            rules.check_list(tier, [])


def test_unknown_ids_are_named_fifty_at_most() -> None:
    rules.check_known(["acc_1"], {"acc_1", "acc_2"})
    with pytest.raises(Invalid) as caught:
        rules.check_known([f"acc_{number:03d}" for number in range(60)], {"acc_000"})
    assert caught.value.detail == "59 of the accessible accounts cannot be found."
    assert [each.message for each in caught.value.errors] == [
        f"There is no acc_{number:03d} here." for number in range(1, 51)
    ]


@pytest.mark.parametrize(
    ("by", "other", "covers"),
    [
        (Holding(frozenset({VIEW, USERS})), Holding(frozenset({VIEW})), True),
        (Holding(frozenset({VIEW})), Holding(frozenset({VIEW, USERS})), False),
        (Holding(frozenset({VIEW})), Holding(frozenset({VIEW}), frozenset({"a"})), True),
        (Holding(frozenset({VIEW}), frozenset({"a"})), Holding(frozenset({VIEW})), False),
        (Holding(frozenset(), frozenset({"a", "b"})), Holding(frozenset(), frozenset({"a"})), True),
        (Holding(frozenset(), frozenset({"a"})), Holding(frozenset(), frozenset({"a", "b"})), False),
        (Holding(frozenset(), frozenset()), Holding(frozenset(), frozenset()), True),
    ],
)
def test_who_holds_as_much_may_give_and_touch(by: Holding, other: Holding, covers: bool) -> None:
    if covers:
        rules.check_grant(by, other)
        rules.check_may_touch(by, other)
    else:
        with pytest.raises(rules.NotYoursToGive):
            rules.check_grant(by, other)
        with pytest.raises(rules.HoldsMore):
            rules.check_may_touch(by, other)


def test_what_a_user_holds_follows_from_role_and_tier() -> None:
    custom = a_user(role="custom", permissions=["dashboard.view", "operator.billing"])
    assert rules.holding(custom, None) == Holding(frozenset({VIEW})), (
        "what its tier does not have does not count"
    )
    assert rules.holding(a_user(), ["prt_1"]) == Holding(HELD_ON[Tier.DISTRIBUTOR], frozenset({"prt_1"}))
    promoted = rules.change(custom, {"role": "administrator"})
    assert rules.after(custom, promoted, None) == Holding(HELD_ON[Tier.DISTRIBUTOR])
    demoted = rules.change(a_user(), {"role": "custom", "permissions": [VIEW]})
    assert rules.after(a_user(), demoted, []) == Holding(frozenset({VIEW}), frozenset())


def test_a_change_is_what_differs() -> None:
    custom = a_user(role="custom", permissions=["dashboard.view"])
    assert rules.change(custom, {"name": "Robin", "role": "custom", "permissions": [VIEW, VIEW]}) == Change()
    assert rules.change(custom, {"permissions": [USERS, VIEW]}) == Change(permissions=[VIEW, USERS])
    assert rules.change(custom, {"role": "administrator"}) == Change(role="administrator", permissions=[])
    assert rules.change(a_user(), {"role": "administrator", "permissions": []}) == Change()
    with pytest.raises(Invalid):
        rules.change(a_user(), {"role": "custom"})
    with pytest.raises(Invalid):
        rules.change(a_user(), {"permissions": [VIEW]})
    with pytest.raises(Invalid):
        rules.change(custom, {"role": "administrator", "permissions": [VIEW]})


def test_who_is_disabled_or_signs_in_another_way_is_signed_out() -> None:
    user = a_user(session_epoch=3)
    for given in ({"state": "disabled"}, {"sign_in_type": "google"}):
        changed = rules.change(user, given)
        assert (changed["session_epoch"], changed["reset_hash"]) == (4, None)
        assert changed.get("client_epoch") == (1 if "state" in given else None)
    assert rules.change(a_user(state="disabled"), {"state": "active"}) == Change(state="active")
    for state in ("active", "disabled"):
        with pytest.raises(rules.NotConfirmed):
            rules.change(a_user(state="invited"), {"state": state})


def test_an_address_that_was_asked_for_before_is_void_when_a_user_is_decided_on_anew() -> None:
    user, void = a_user(pending_email="thief@example.com"), Change(pending_email=None, link_hash=None)
    for changed in (Change(state="disabled"), Change(sign_in_type="google"), Change(role="custom")):
        assert rules.without_pending(user, changed, relisted=False) == void
    assert rules.without_pending(user, Change(permissions=[]), relisted=False) == void
    assert rules.without_pending(user, Change(), relisted=True) == void
    assert rules.without_pending(user, Change(name="Other"), relisted=False) == Change()
    # An invitation stays good.
    assert rules.without_pending(a_user(state="invited"), Change(role="custom"), relisted=True) == Change()


@pytest.mark.parametrize(
    ("user", "given", "seen", "locked_out"),
    [
        (a_user(), {"state": "disabled"}, None, True),
        (a_user(), {"role": "custom", "permissions": sorted(HELD_ON[Tier.DISTRIBUTOR])}, None, True),
        (a_user(), {"sign_in_type": "microsoft"}, None, True),
        (a_user(), {}, ["prt_1"], True),
        (a_user(), {"name": "Other"}, None, False),
        (a_user(role="custom", permissions=[VIEW, USERS]), {"permissions": [VIEW]}, None, True),
        (a_user(role="custom", permissions=[VIEW, USERS]), {"permissions": [USERS]}, None, False),
    ],
)
def test_nobody_locks_themselves_out(
    user: User, given: dict[str, Any], seen: list[str] | None, locked_out: bool
) -> None:
    changed = rules.change(user, given)
    now, then = rules.holding(user, None), rules.after(user, changed, seen)
    if locked_out:
        with pytest.raises(rules.LocksYouOut):
            rules.check_not_locked_out(user, changed, now, then)
    else:
        rules.check_not_locked_out(user, changed, now, then)


def test_a_list_of_ones_own_may_only_grow() -> None:
    user = a_user(limited=True)
    now = rules.holding(user, ["a"])
    rules.check_not_locked_out(user, Change(), now, rules.after(user, Change(), ["a", "b"]))
    with pytest.raises(rules.LocksYouOut):
        rules.check_not_locked_out(user, Change(), now, rules.after(user, Change(), ["b"]))


def test_another_administrator_has_to_stay() -> None:
    user, other, invited = a_user(), a_user("usr_2"), a_user("usr_3", state="invited")
    custom, disabled = a_user("usr_4", role="custom"), a_user("usr_5", state="disabled")
    assert rules.remaining_administrator(user, [user, custom, other], "usr_9") is other
    third = a_user("usr_6")
    assert rules.remaining_administrator(user, [user, other, third], "usr_6") is third
    with pytest.raises(rules.LastAdministrator):
        rules.remaining_administrator(user, [user, invited, custom, disabled], "usr_4")
    # While nobody has confirmed yet, one who is invited has to stay.
    assert rules.remaining_administrator(invited, [invited, other], "") is other
    with pytest.raises(rules.LastAdministrator):
        rules.remaining_administrator(invited, [invited, custom, disabled], "")
    for goes in (custom, disabled):
        assert rules.remaining_administrator(goes, [goes], "") is None


def test_what_leaves_one_administrator_less() -> None:
    assert rules.ends_administrator(a_user(), Change(role="custom"))
    assert rules.ends_administrator(a_user(), Change(state="disabled"))
    assert not rules.ends_administrator(a_user(), Change(name="Other"))
    assert not rules.ends_administrator(a_user(role="custom"), Change(state="disabled"))


def test_only_who_is_invited_is_asked_again() -> None:
    assert rules.confirmation_again(a_user(state="invited")) == Change(link_hash=None)
    for state in ("active", "disabled"):
        with pytest.raises(rules.AlreadyConfirmed):
            rules.confirmation_again(a_user(state=state))


def test_how_the_audit_trail_tells_of_it() -> None:
    user = a_user()
    changed = Change(role="custom", permissions=["audit.view"], session_epoch=1)
    assert (
        rules.described(user, changed, True, ["prt_1", "prt_2"])
        == "Changed user robin@example.com: role to custom, permissions to audit.view, "
        "accessible accounts to a list of 2"
    )
    assert rules.about_permissions(changed, False) and rules.about_permissions(Change(), True)
    assert not rules.about_permissions(Change(name="Other", state="disabled"), False)
    assert rules.described_new(user, None) == "Created user robin@example.com (administrator)"
    assert rules.holding(a_user(), None).covers(Holding(HELD_ON[Tier.DISTRIBUTOR], frozenset()))
    assert user.node != VENDOR
