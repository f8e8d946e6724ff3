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
    usual |= {"state": "active", "limited": False, "link_hash": None, "node": DISTRIBUTOR, "session_epoch": 0}
    usual |= {"sign_in_type": "email", "reset_hash": None, "pending_email": None}
    usual |= {"two_factor": False, "client_epoch": 0, "credentials_epoch": 0}
    return SimpleNamespace(**usual | values)


ADDRESS = "198.51.100.7"
A_CLIENT: Any = SimpleNamespace(client_id="cid_1")


def a_security(**values: Any) -> Any:
    usual = {"two_factor_required": False, "ip_restricted": False, "ip_entries": []}
    return SimpleNamespace(**usual | values)


FIRST = tokens.tagged("first", "key")


def a_session(**values: Any) -> Any:
    usual = {"refresh_hash": tokens.hashed(FIRST), "previous_hash": None, "successor_salt": None}
    return SimpleNamespace(
        **usual
        | {"tag_key": "key", "client_id": None, "epoch": 0, "second_factor": False}
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
        described = rules.sign_in_description(
            completed=False, user_agent="", address="::1", method="google", second_factor="recovery code"
        )
        assert described == "Google Sign in with recovery code (Failed) Unknown client from ip ::1."

    @pytest.mark.parametrize("state", ["invited", "disabled"])
    def test_only_active_users_have_a_password_to_compare_with(self, state: str) -> None:
        chosen: Any = SimpleNamespace(password_hash="hash", password_epoch=0)
        assert rules.password_hash_of(a_user(), chosen) == "hash"
        for user, credentials in (
            (a_user(state=state), chosen),
            (a_user(sign_in_type="google"), chosen),
            (a_user(), None),
            (None, chosen),
        ):
            assert rules.password_hash_of(user, credentials) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Gina@North.example.com", " gina@north.EXAMPLE.com", True),
        ("a@stra\u00dfe.de", "a@xn--strae-oqa.de", True),
        ("a@stra\u00dfe.de", "a@strasse.de", False),
        ("a@\u03b2\u03c3.gr", "a@\u03b2\u03c2.gr", False),
        ("\u212aim@example.com", "kim@example.com", False),
        ("ge\u00dfler@example.com", "gessler@example.com", False),
        ("a@\u2028.com", "a@\u2028.com", False),
        ("nobody", "nobody", False),
        ("a@example.com", None, False),
    ],
)
def test_an_address_is_anothers_only_where_mail_to_both_is_one_persons(
    one: str, other: str | None, same: bool
) -> None:
    assert rules.same_address(one, other) is same


class TestSteps:
    """What is asked after the first factor."""

    OLD: Any = SimpleNamespace(password_set_at=NOW - timedelta(days=30))

    def step(self, user: Any, security: Any, *, method: str = "password", second_factor: bool = False) -> str:
        return rules.next_step(user, self.OLD, security, method=method, second_factor=second_factor, now=NOW)

    def test_each_is_asked_in_its_turn(self) -> None:
        strict = a_security(password_expires_after_days=30, two_factor_required=True)
        assert self.step(a_user(two_factor=True), strict) == "totp"
        assert self.step(a_user(two_factor=True), strict, second_factor=True) == "password_expired"
        assert self.step(a_user(), strict) == "password_expired"
        assert self.step(a_user(), strict, method="google") == "enrol_totp"
        assert self.step(a_user(two_factor=True), strict, method="google", second_factor=True) == ""

    def test_nothing_is_asked_where_nothing_is_demanded(self) -> None:
        for security in (None, a_security(password_expires_after_days=None)):
            assert self.step(a_user(), security) == ""
            assert self.step(a_user(two_factor=True), security) == "totp"

    @pytest.mark.parametrize(("days", "expired"), [(29, True), (30, True), (31, False), (None, False)])
    def test_a_password_expires_to_the_millisecond(self, days: int | None, expired: bool) -> None:
        security = a_security(password_expires_after_days=days)
        assert rules.password_expired(self.OLD, security, NOW) is expired
        if days == 30:
            assert not rules.password_expired(self.OLD, security, NOW - timedelta(milliseconds=1))

    def test_what_was_never_set_does_not_expire(self) -> None:
        security = a_security(password_expires_after_days=1)
        assert not rules.password_expired(None, security, NOW)
        assert not rules.password_expired(SimpleNamespace(password_set_at=None), security, NOW)  # type: ignore[arg-type]

    def test_a_challenge_goes_on_only_while_everything_is_as_it_was(self) -> None:
        usual: dict[str, Any] = {"ends_at": NOW, "wrong_answers": 4, "epoch": 0, "method": "password"}
        before = NOW - timedelta(milliseconds=1)
        assert rules.may_go_on(SimpleNamespace(**usual), a_user(), before)  # type: ignore[arg-type]
        for challenge, user, now in (
            (usual, a_user(), NOW),
            (usual | {"wrong_answers": 5}, a_user(), before),
            (usual | {"epoch": 1}, a_user(), before),
            (usual, a_user(session_epoch=1), before),
            (usual, a_user(state="disabled"), before),
            (usual, a_user(state="invited"), before),
            (usual, a_user(sign_in_type="google"), before),
            (usual | {"method": "microsoft"}, a_user(sign_in_type="google"), before),
        ):
            assert not rules.may_go_on(SimpleNamespace(**challenge), user, now)  # type: ignore[arg-type]


class TestPolicy:
    """What a portal asks of all of its users."""

    def set(self, security: Any, days: int | None, required: bool, *, has: bool = True) -> Change:
        return rules.set_policy(
            security,
            password_expires_after_days=days,
            two_factor_required=required,
            has_second_factor=has,
            now=NOW,
        )

    def test_only_what_is_different_changes(self) -> None:
        known = a_security(password_expires_after_days=30, two_factor_required=True)
        assert self.set(known, 30, True) == Change()
        assert self.set(None, None, False) == Change()
        assert self.set(None, None, True) == Change(two_factor_required=True)
        assert self.set(known, 60, True) == Change(password_expires_after_days=60, expiry_look_at=NOW)
        assert self.set(known, None, True) == Change(password_expires_after_days=None, expiry_look_at=None)

    def test_requiring_a_second_factor_takes_one(self) -> None:
        for security in (None, a_security(password_expires_after_days=None)):
            with pytest.raises(rules.SecondFactorMissing):
                self.set(security, None, True, has=False)
            assert self.set(security, None, False, has=False) == Change()
        known = a_security(password_expires_after_days=None, two_factor_required=True)
        assert self.set(known, None, False, has=False) == Change(two_factor_required=False)
        assert self.set(known, None, True, has=False) == Change()

    def test_the_audit_trail_tells_what_changed(self) -> None:
        change = Change(password_expires_after_days=7, two_factor_required=True)
        assert rules.policy_description(change) == (
            "Changed the security policy: passwords expire after 7 days, two-factor authentication is required"
        )
        change = Change(password_expires_after_days=None, two_factor_required=False)
        assert rules.policy_description(change) == (
            "Changed the security policy: passwords never expire, "
            "two-factor authentication is not required any more"
        )


def a_link(purpose: str = "invitation", **values: Any) -> Any:
    usual = {"link_hash": "h", "purpose": purpose, "email": "a@example.com", "ends_at": NOW}
    return SimpleNamespace(**usual | values)


INVITED = {"state": "invited", "link_hash": "h"}
FORGETFUL = {"reset_hash": "h"}
MOVING = {"link_hash": "h", "pending_email": " A@example.com", "email": "before@example.com"}


class TestLinks:
    """One-time links, by what they are for."""

    @pytest.mark.parametrize(
        ("purpose", "values"), [("invitation", INVITED), ("password", FORGETFUL), ("email", MOVING)]
    )
    def test_the_latest_of_its_kind_is_good_before_its_end(
        self, purpose: str, values: dict[str, Any]
    ) -> None:
        user, link = a_user(**values), a_link(purpose)
        assert rules.is_good(link, user, NOW - timedelta(milliseconds=1))
        assert not rules.is_good(link, user, NOW)
        assert not rules.is_good(link, None, NOW - timedelta(hours=1))
        assert not rules.is_good(None, user, NOW - timedelta(hours=1))
        for other in {"invitation", "password", "email", "else"} - {purpose}:
            assert not rules.is_good(a_link(other), user, NOW - timedelta(hours=1))

    @pytest.mark.parametrize(
        ("purpose", "values"),
        [
            ("invitation", INVITED | {"state": "active"}),
            ("invitation", INVITED | {"state": "disabled"}),
            ("invitation", INVITED | {"link_hash": None}),
            ("invitation", INVITED | {"link_hash": "later"}),
            ("invitation", INVITED | {"email": "b@example.com"}),
            ("password", FORGETFUL | {"state": "invited"}),
            ("password", FORGETFUL | {"state": "disabled"}),
            ("password", FORGETFUL | {"sign_in_type": "google"}),
            ("password", FORGETFUL | {"reset_hash": "later"}),
            ("password", FORGETFUL | {"email": "b@example.com"}),
            ("email", MOVING | {"state": "disabled"}),
            ("email", MOVING | {"pending_email": None}),
            ("email", MOVING | {"pending_email": "b@example.com"}),
            ("email", MOVING | {"link_hash": "later"}),
        ],
    )
    def test_any_other_is_not(self, purpose: str, values: dict[str, Any]) -> None:
        assert not rules.is_good(a_link(purpose), a_user(**values), NOW - timedelta(hours=1))

    def test_a_new_link_voids_the_earlier_ones_of_its_kind(self) -> None:
        assert rules.linked("invitation", "new") == rules.linked("email", "new") == Change(link_hash="new")
        assert rules.linked("password", "new") == Change(reset_hash="new")

    def test_confirming_makes_the_user_active_and_the_link_void(self) -> None:
        assert rules.confirm() == Change(state="active", link_hash=None)


class TestPasswords:
    """What ends with a password."""

    def test_a_new_one_begins_a_new_epoch_and_voids_what_was_mailed(self) -> None:
        changed = rules.password_changed(a_user(session_epoch=4))
        assert changed == Change(session_epoch=5, reset_hash=None, link_hash=None, pending_email=None)
        assert rules.carried_over(changed) == Change(epoch=5)

    def test_a_sign_in_is_open_until_it_ends_by_itself_or_with_the_password(self) -> None:
        user = a_user(session_epoch=2)
        own = {"user_id": "usr_1", "entered_through": [], "epoch": 2}
        assert rules.is_open(a_session(**own), user, NOW)
        for values in (
            {"epoch": 1},
            {"user_id": "usr_2"},
            {"revoked_at": NOW},
            {"ends_at": NOW},
            {"entered_through": ["ses_2"]},
            {"client_id": "cid_1"},
        ):
            assert not rules.is_open(a_session(**own | values), user, NOW)


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
        assert rules.refusal(bearer, ADDRESS, NOW) == ""

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
        assert rules.refusal(bearer, ADDRESS, NOW) == reason

    def test_a_session_of_an_earlier_epoch_is_over_and_the_one_of_signing_in_counts(self) -> None:
        entered = [a_session(epoch=0), a_session(epoch=1)]
        assert rules.refusal(rules.Bearer(a_user(session_epoch=1), entered, []), ADDRESS, NOW) == ""
        assert (
            rules.refusal(rules.Bearer(a_user(session_epoch=2), entered, []), ADDRESS, NOW) == "session_ended"
        )

    def test_an_api_keys_session_ends_with_the_key_and_not_with_the_password(self) -> None:
        user, by_key = a_user(session_epoch=3), [a_session(), a_session(client_id="cid_1")]
        assert rules.refusal(rules.Bearer(user, by_key, [], api_client=A_CLIENT), ADDRESS, NOW) == ""
        assert rules.refusal(rules.Bearer(user, by_key, []), ADDRESS, NOW) == "api_key_deleted"
        disabled = rules.Bearer(a_user(state="disabled"), by_key, [], api_client=A_CLIENT)
        assert rules.refusal(disabled, ADDRESS, NOW) == "user_disabled"
        again = rules.Bearer(a_user(client_epoch=1), by_key, [], api_client=A_CLIENT)
        assert rules.refusal(again, ADDRESS, NOW) == "session_ended"

    def test_a_required_second_factor_is_asked_of_people_and_not_of_api_keys(self) -> None:
        demanding = a_security(two_factor_required=True)
        for session, reason in (
            (a_session(), "second_factor_required"),
            (a_session(second_factor=True), ""),
            (a_session(client_id="cid_1"), ""),
        ):
            bearer = rules.Bearer(a_user(two_factor=True), [session], [], demanding, A_CLIENT)
            assert rules.refusal(bearer, ADDRESS, NOW) == reason

    @pytest.mark.parametrize("session", [a_session(), a_session(client_id="cid_1")], ids=["person", "key"])
    def test_an_address_that_the_users_portal_does_not_list_is_refused(self, session: Any) -> None:
        listed = a_security(
            ip_restricted=True, ip_entries=[{"addresses": [ADDRESS]}], two_factor_required=True
        )
        bearer = rules.Bearer(a_user(), [session], [], listed, A_CLIENT)
        assert rules.refusal(bearer, "203.0.113.1", NOW) == "access_denied"
        assert rules.refusal(bearer, "", NOW) == "access_denied"
        assert rules.refusal(bearer, ADDRESS, NOW) != "access_denied"


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
            assert rules.caller(user, portal, "ses_1", accessible={listed}).portal == portal
            assert rules.caller(user, portal, "ses_1", accessible={"prt_other", DIRECT}) == out
        assert rules.caller(user, DISTRIBUTOR, "ses_1").limited

    def test_the_caller_names_user_home_and_portal(self) -> None:
        caller = rules.caller(a_user(), PARTNER, "ses_1", "cid_1")
        assert caller == Caller(
            kind="user",
            user_id="usr_1",
            email="a@example.com",
            name="A",
            home=DISTRIBUTOR,
            portal=PARTNER,
            session_id="ses_1",
            client_id="cid_1",
            permissions=HELD_ON[Tier.PARTNER],
        )
        assert Caller.from_context(caller.to_context()) == caller
