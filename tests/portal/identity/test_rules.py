from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from portal.change import Change
from portal.identity import rules, tokens
from portal.permissions import HELD_ON, Permission
from portal.scope import Caller
from portal.tree import DIRECT, VENDOR, Node, Tier

NOW = datetime(2023, 1, 10, 12, tzinfo=UTC)
DISTRIBUTOR = Node("dst_1")
PARTNER = Node("dst_1", "prt_1")
ACCOUNT = Node("dst_1", "prt_1", "acc_1")


def a_user(**values: Any) -> Any:
    usual = {
        "user_id": "usr_1",
        "email": "a@example.com",
        "name": "A",
        "role": "administrator",
        "permissions": [],
    }
    return SimpleNamespace(**usual | {"state": "active", "limited": False, "link_hash": None} | values)


FIRST = tokens.tagged("first", "key")


def a_session(**values: Any) -> Any:
    usual = {"refresh_hash": tokens.hashed(FIRST), "previous_hash": None, "successor_salt": None}
    return SimpleNamespace(
        **usual
        | {"tag_key": "key"}
        | {"rotated_at": None, "revoked_at": None, "ends_at": NOW + timedelta(days=1)}
        | values
    )


class TestSigningIn:
    """Browsers, and what the audit trail says."""

    @pytest.mark.parametrize(
        ("user_agent", "browser"),
        [
            (
                "Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
                "Chrome",
            ),
            (
                "Mozilla/5.0 (iPhone) AppleWebKit/605 (KHTML, like Gecko) CriOS/120.0 Mobile Safari/604.1",
                "Chrome",
            ),
            (
                "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36 Edg/120.0",
                "Edge",
            ),
            (
                "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko) Chrome/106.0 Safari/537.36 OPR/92.0",
                "Opera",
            ),
            ("Mozilla/5.0 (Windows NT 10.0; rv:121.0) Gecko/20100101 Firefox/121.0", "Firefox"),
            (
                "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17 Safari/605.1.15",
                "Safari",
            ),
            ("curl/8.4.0", "curl"),
            ("python-requests/2.31", "python-requests"),
            ("", "Unknown client"),
            ("\u202e<script>", "Unknown client"),
            ("x" * 500, "x" * 40),
        ],
    )
    def test_a_browser_is_told_by_its_user_agent(self, user_agent: str, browser: str) -> None:
        assert rules.browser(user_agent) == browser

    def test_the_description_names_outcome_browser_and_address(self) -> None:
        described = rules.sign_in_description(completed=True, user_agent="Chrome", address="198.51.100.7")
        assert described == "Native Sign in (OK) Chrome from ip 198.51.100.7."

    @pytest.mark.parametrize("state", ["invited", "disabled"])
    def test_only_active_users_have_a_password_to_compare_with(self, state: str) -> None:
        assert rules.password_hash_of(a_user(state=state, password_hash="hash")) is None
        assert rules.password_hash_of(a_user(password_hash="hash")) == "hash"
        assert rules.password_hash_of(None) is None


class TestLinks:
    """Confirming an e-mail address."""

    LINK: Any = SimpleNamespace(link_hash="h", ends_at=NOW)

    def test_the_latest_link_of_an_invited_user_is_good_before_its_end(self) -> None:
        user = a_user(state="invited", link_hash="h")
        assert rules.is_good(self.LINK, user, NOW - timedelta(milliseconds=1))
        assert not rules.is_good(self.LINK, user, NOW)

    @pytest.mark.parametrize(
        "user",
        [None, a_user(link_hash="h"), a_user(state="invited"), a_user(state="invited", link_hash="later")],
    )
    def test_any_other_link_is_not(self, user: Any) -> None:
        assert not rules.is_good(self.LINK, user, NOW - timedelta(hours=1))
        with pytest.raises(rules.InvalidLink):
            rules.confirm(user, self.LINK, "hash", NOW - timedelta(hours=1))

    def test_confirming_makes_the_user_active_and_the_link_void(self) -> None:
        change = rules.confirm(
            a_user(state="invited", link_hash="h"), self.LINK, "hash", NOW - timedelta(hours=1)
        )
        assert change == Change(state="active", password_hash="hash", link_hash=None)


class TestRotation:
    """Refresh tokens."""

    def test_the_present_token_is_followed_by_one_derived_from_it(self) -> None:
        rotation = rules.rotate(a_session(), FIRST, salt="salt", now=NOW)
        assert rotation.secret == tokens.successor(FIRST, "salt", "key") != FIRST
        assert rotation.change == Change(
            refresh_hash=tokens.hashed(rotation.secret),
            previous_hash=tokens.hashed(FIRST),
            successor_salt="salt",
            rotated_at=NOW,
        )

    def test_its_predecessor_gets_the_same_for_thirty_seconds_and_changes_nothing(self) -> None:
        rotated = rules.rotate(a_session(), FIRST, salt="salt", now=NOW)
        session = a_session(**dict(rotated.change or {}))
        again = rules.rotate(session, FIRST, salt="other", now=NOW + timedelta(seconds=30))
        assert again == rules.Rotation(rotated.secret, None)
        late = NOW + timedelta(seconds=30, milliseconds=1)
        assert rules.rotate(session, FIRST, salt="other", now=late) == rules.Rotation(
            None, Change(revoked_at=late)
        )

    def test_an_older_one_ends_the_session(self) -> None:
        older = tokens.tagged("older", "key")
        assert rules.rotate(a_session(), older, salt="salt", now=NOW) == rules.Rotation(
            None, Change(revoked_at=NOW)
        )

    def test_what_was_never_one_of_the_session_is_refused_and_ends_nothing(self) -> None:
        for secret in ("older", "", "first", FIRST + " ", "first.", tokens.tagged("first", "another key")):
            assert rules.rotate(a_session(), secret, salt="salt", now=NOW) == rules.Rotation(None, None)


class TestStanding:
    """Whether what a token says still holds."""

    def test_it_holds_while_everything_it_depends_on_does(self) -> None:
        bearer = rules.Bearer(a_user(), [a_session(), a_session()], ["active", "trial"])
        assert rules.refusal(bearer, NOW) == ""

    @pytest.mark.parametrize(
        ("bearer", "reason"),
        [
            (rules.Bearer(a_user(), [None], []), "session_ended"),
            (rules.Bearer(a_user(), [a_session(revoked_at=NOW)], []), "session_ended"),
            (rules.Bearer(a_user(), [a_session(), a_session(revoked_at=NOW)], []), "session_ended"),
            (rules.Bearer(a_user(), [a_session(ends_at=NOW)], []), "session_ended"),
            (rules.Bearer(None, [a_session()], []), "user_disabled"),
            (rules.Bearer(a_user(state="disabled"), [a_session()], []), "user_disabled"),
            (rules.Bearer(a_user(state="invited"), [a_session()], []), "user_disabled"),
            (rules.Bearer(a_user(), [a_session()], ["active", None]), "portal_removed"),
            (rules.Bearer(a_user(), [a_session()], ["active", "removal_pending"]), "portal_removed"),
            (rules.Bearer(a_user(), [a_session()], ["active", "removed"]), "portal_removed"),
        ],
    )
    def test_it_ends_with_any_of_them(self, bearer: rules.Bearer, reason: str) -> None:
        assert rules.refusal(bearer, NOW) == reason


class TestPermissions:
    """What a user may do, at home and in portals that it entered."""

    @pytest.mark.parametrize("home", [VENDOR, DISTRIBUTOR, PARTNER, ACCOUNT])
    def test_administrators_have_all_of_their_tier(self, home: Node) -> None:
        assert rules.permissions_in(a_user(), home, home) == HELD_ON[home.tier]

    def test_nobody_has_what_does_not_exist_on_their_tier(self) -> None:
        user = a_user(
            role="custom", permissions=["billing.manage", "dashboard.view", "nonsense", "engine.report"]
        )
        assert rules.permissions_in(user, PARTNER, PARTNER) == {Permission.DASHBOARD_VIEW}

    @pytest.mark.parametrize("portal", [DISTRIBUTOR, PARTNER, ACCOUNT])
    @pytest.mark.parametrize("home", [VENDOR, DISTRIBUTOR, PARTNER])
    def test_administrators_from_above_have_what_the_portal_can_hold(self, home: Node, portal: Node) -> None:
        if home.contains(portal):
            assert rules.permissions_in(a_user(), home, portal) == HELD_ON[portal.tier]

    def test_operators_have_no_operators_permissions_inside(self) -> None:
        inside = rules.permissions_in(a_user(), VENDOR, DISTRIBUTOR)
        assert not {each for each in inside if each.startswith("operator.")}

    def test_who_may_not_enter_has_nothing_inside(self) -> None:
        user = a_user(role="custom", permissions=["settings.manage", "account.tasks.manage"])
        assert rules.permissions_in(user, DISTRIBUTOR, PARTNER) == frozenset()
        operator = a_user(role="custom", permissions=["operator.billing"])
        assert rules.permissions_in(operator, VENDOR, DISTRIBUTOR) == frozenset()

    def test_a_custom_user_brings_its_permissions_to_a_partners_portal_but_no_billing(self) -> None:
        held = ["dashboard.view", "settings.view", "billing.manage", "account.billing.view"]
        inside = rules.permissions_in(a_user(role="custom", permissions=held), DISTRIBUTOR, PARTNER)
        assert inside == {Permission.DASHBOARD_VIEW, Permission.SETTINGS_VIEW}

    def test_inside_an_account_a_custom_users_account_permissions_count(self) -> None:
        held = [
            "dashboard.view",
            "settings.manage",
            "audit.view",
            "account.settings.view",
            "account.tasks.manage",
        ]
        inside = rules.permissions_in(a_user(role="custom", permissions=held), DISTRIBUTOR, ACCOUNT)
        assert inside == {
            Permission.ACCOUNT_SETTINGS_VIEW,
            Permission.SETTINGS_VIEW,
            Permission.ACCOUNT_TASKS_MANAGE,
        }

    def test_a_limited_user_is_only_in_portals_on_its_list(self) -> None:
        user, direct = a_user(limited=True), DISTRIBUTOR.child(DIRECT).child("acc_2")
        out = Caller(kind="anonymous", refused="access_withdrawn")
        for portal, listed in ((PARTNER, "prt_1"), (ACCOUNT, "prt_1"), (direct, "acc_2")):
            assert rules.caller(user, DISTRIBUTOR, portal, "ses_1", {listed}).portal == portal
            assert rules.caller(user, DISTRIBUTOR, portal, "ses_1", {"prt_other", DIRECT}) == out
        assert rules.caller(user, DISTRIBUTOR, DISTRIBUTOR, "ses_1").limited

    def test_the_caller_names_user_home_and_portal(self) -> None:
        caller = rules.caller(a_user(), DISTRIBUTOR, PARTNER, "ses_1")
        assert caller == Caller(
            kind="user",
            user_id="usr_1",
            email="a@example.com",
            name="A",
            home=DISTRIBUTOR,
            portal=PARTNER,
            session_id="ses_1",
            permissions=HELD_ON[Tier.PARTNER],
        )
        assert Caller.from_context(caller.to_context()) == caller
