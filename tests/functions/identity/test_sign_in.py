import pytest
from argon2 import PasswordHasher

from portal import keys
from portal.identity import passwords
from portal.identity.records import FailedSignIn, User
from portal.journal import AuditEntry
from portal.table import query
from portal.tree import Node
from tests.builders import PASSWORD, a_distributor, a_partner, an_account, bearer, confirm, sign_in
from tests.world import World, administrator


def audited(node: Node) -> list[AuditEntry]:
    return [entry for entry in query(AuditEntry, keys.node(node), "AUDIT") if entry.activity == "sign-in"]


def test_whoever_confirmed_their_address_signs_in_to_their_portal(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, "office@north.example.com")
    tokens = sign_in(world, " OFFICE@North.example.com ")
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 900
    caller = bearer(world, tokens["access_token"])
    assert (caller.kind, caller.email, caller.portal) == ("user", "office@north.example.com", distributor)


def test_signing_in_is_audited_with_browser_and_address(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, "office@north.example.com")
    sign_in(world, "office@north.example.com")
    [entry] = audited(distributor)
    assert entry.description == "Native Sign in (OK) Chrome from ip 198.51.100.7."
    assert (entry.status, entry.performed_by, entry.performed_from) == (
        "completed",
        "office@north.example.com",
        None,
    )


def test_a_wrong_password_is_refused_and_audited(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, "office@north.example.com")
    answer = world.call(
        "identity.sign_in", body={"email": "office@north.example.com", "password": "wrong one"}
    )
    assert (answer.status, answer.code) == (401, "invalid_credentials")
    [entry] = audited(distributor)
    assert (entry.status, entry.description) == (
        "failed",
        "Native Sign in (Failed) Chrome from ip 198.51.100.7.",
    )
    assert entry.performed_by == "office@north.example.com"


def test_nobody_learns_whether_an_address_is_known_confirmed_or_its_portal_removed(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, "office@north.example.com")
    partner = a_partner(world, distributor, "gone@example.com")
    confirm(world, "gone@example.com")
    a_partner(world, distributor, "invited@example.com")
    removed = world.call(
        "partners.remove_partner", administrator(distributor), path={"partner_id": partner.partner}
    )
    assert removed.status == 204
    answers = [
        world.call("identity.sign_in", body={"email": email, "password": password})
        for email, password in (
            ("office@north.example.com", "wrong one"),
            ("invited@example.com", PASSWORD),
            ("gone@example.com", PASSWORD),
            ("nobody@example.com", PASSWORD),
            ("#|\u0000\N{GRINNING FACE}", PASSWORD),
        )
    ]
    assert {answer.status for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


def test_users_of_an_account_that_is_being_removed_are_out_at_once(world: World) -> None:
    distributor = a_distributor(world)
    account = an_account(world, distributor, email="rosy@example.com")
    confirm(world, "rosy@example.com")
    token = sign_in(world, "rosy@example.com")["access_token"]
    assert bearer(world, token).portal == account
    removed = world.call(
        "accounts.remove_account",
        administrator(distributor),
        path={"account_id": account.account},
        body={"approve_data_removal": True},
    )
    assert removed.status < 300, removed.text
    assert bearer(world, token).refused == "portal_removed"
    answer = world.call("identity.sign_in", body={"email": "rosy@example.com", "password": PASSWORD})
    assert (answer.status, answer.code) == (401, "invalid_credentials")


def test_the_same_work_is_done_for_an_address_that_nobody_has(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_distributor(world)
    confirm(world, "office@north.example.com")
    compared: list[str] = []
    verify = passwords._HASHER.verify

    class Counting:
        def verify(self, password_hash: str, password: str) -> bool:
            compared.append(password_hash.rpartition("$")[0].rpartition("$")[0])
            return verify(password_hash, password)

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    for email in ("office@north.example.com", "nobody@example.com"):
        world.call("identity.sign_in", body={"email": email, "password": "wrong one"})
    assert compared == ["$argon2id$v=19$m=19456,t=2,p=1"] * 2
    [failed] = query(FailedSignIn, keys.email("nobody@example.com")[0])
    assert failed.description == "Native Sign in (Failed) Chrome from ip 198.51.100.7."


def test_credentials_are_checked_for_their_form(world: World) -> None:
    for body in (
        {"email": "a@example.com"},
        {"email": "", "password": "x"},
        {"email": "a@example.com", "password": "x" * 129},
        {"email": "a@example.com", "password": "x", "remember": True},
        {"email": ["a@example.com"], "password": "x"},
    ):
        answer = world.call("identity.sign_in", body=body)
        assert (answer.status, answer.code) == (400, "invalid")


def test_a_hash_with_weaker_parameters_is_replaced(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, "office@north.example.com")
    [user] = query(User, keys.node(distributor), keys.user())
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    user.update(actions=[User.password_hash.set(weak)])
    sign_in(world, "office@north.example.com")
    [user] = query(User, keys.node(distributor), keys.user())
    assert "m=19456,t=2,p=1" in user.password_hash
    assert sign_in(world, "office@north.example.com")["access_token"]
