from portal import keys
from portal.identity.actions import identify, open_session
from portal.journal import AuditEntry
from portal.scope import Origin
from portal.table import query, stage, write
from tests.builders import a_distributor, a_partner, a_user_of, an_account, an_email, sign_in
from tests.trees import a_user, store
from tests.world import World, administrator


def test_entering_an_account_gives_tokens_for_its_portal_and_is_audited_on_both_levels(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    account = an_account(world, partner, email="rosy@example.com")
    user = a_user(administrator(partner, "usr_1", "pam@example.com"), world.now)
    store(user)
    opened = open_session(user, Origin(world.now, "198.51.100.7", "Chrome"), second_factor=False)
    write([stage(each) for each in opened.writes])
    caller = identify(f"Bearer {opened.tokens.access_token}", "198.51.100.7", world.now)
    answer = world.call("identity.access_account", caller, path={"account_id": account.account})
    assert answer.status == 200, answer.text
    inside = identify(f"Bearer {answer.json['access_token']}", "198.51.100.7", world.now)
    assert (inside.portal, inside.home, inside.email) == (account, partner, "pam@example.com")
    assert world.call("identity.get_me", inside).json["portal"]["account_id"] == account.account
    for portal in (partner, account):
        entries = [
            (entry.performed_by, entry.description)
            for entry in query(AuditEntry, keys.node(portal), "AUDIT")
            if entry.activity == "account accessed"
        ]
        assert entries == [("pam@example.com", "Accessed account rosy@example.com")]


def test_an_account_that_is_being_removed_is_not_entered(world: World) -> None:
    distributor = a_distributor(world, an_email())
    path = {"account_id": an_account(world, distributor).account}
    body = {"approve_data_removal": True}
    world.call("accounts.remove_account", administrator(distributor), path=path, body=body)
    answer = world.call("identity.access_account", administrator(distributor), path=path)
    assert (answer.status, answer.code) == (409, "removal_pending")


def test_a_foreign_account_is_not_entered(world: World) -> None:
    distributor = a_distributor(world, an_email())
    path = {"account_id": an_account(world, distributor).account}
    stranger = administrator(a_partner(world, distributor, an_email()))
    assert world.call("identity.access_account", stranger, path=path).status == 404


def test_nobody_gets_in_who_may_do_nothing_inside(world: World) -> None:
    distributor = a_distributor(world)
    account = an_account(world, distributor)
    path = {"account_id": account.account}
    for permissions, status in ((["dashboard.view"], 403), (["dashboard.view", "account.restore"], 200)):
        user = a_user_of(world, distributor, role="custom", permissions=permissions)
        token = sign_in(world, user.email)["access_token"]
        assert world.request("identity.access_account", token, path=path).status == status
