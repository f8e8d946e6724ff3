from portal import keys
from portal.identity.actions import identify, open_session
from portal.journal import AuditEntry
from portal.table import query, stage, write
from tests.builders import a_distributor, a_partner, an_account, an_email
from tests.trees import a_user, store
from tests.world import World, administrator


def test_entering_an_account_gives_tokens_for_its_portal_and_is_audited_on_both_levels(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    account = an_account(world, partner, email="rosy@example.com")
    user = a_user(administrator(partner, "usr_1", "pam@example.com"), world.now)
    store(user)
    opened = open_session(user, partner, at=world.now, address="198.51.100.7", user_agent="Chrome")
    write([stage(each) for each in opened.writes])
    caller = identify(f"Bearer {opened.tokens.access_token}", world.now)
    answer = world.call("accounts.access_account", caller, path={"account_id": account.account})
    assert answer.status == 200, answer.text
    inside = identify(f"Bearer {answer.json['access_token']}", world.now)
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
    answer = world.call("accounts.access_account", administrator(distributor), path=path)
    assert (answer.status, answer.code) == (409, "removal_pending")


def test_a_foreign_account_is_not_entered(world: World) -> None:
    distributor = a_distributor(world, an_email())
    path = {"account_id": an_account(world, distributor).account}
    stranger = administrator(a_partner(world, distributor, an_email()))
    assert world.call("accounts.access_account", stranger, path=path).status == 404
