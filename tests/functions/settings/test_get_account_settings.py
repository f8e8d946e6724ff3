from tests.builders import a_distributor, a_partner, an_account
from tests.world import World, administrator


def test_each_portal_shows_its_own_company(world: World) -> None:
    distributor = a_distributor(world)
    partner = a_partner(world, distributor, partner_id="DDEVR002")
    account = an_account(world, partner, email="rosy@example.com")
    nothing = {"pending_email": None, "archive_location": None, "address": None, "phone": None}
    for portal, shown in (
        (
            distributor,
            {
                "email": "office@north.example.com",
                "name": "North Distribution",
                "partner_id": distributor.distributor,
            },
        ),
        (
            partner,
            {"email": "jacob@anderson.example.com", "name": "Jacob Anderson", "partner_id": "DDEVR002"},
        ),
        (account, {"email": "rosy@example.com", "name": "Rosy White", "partner_id": partner.partner}),
    ):
        answer = world.call("settings.get_account_settings", administrator(portal))
        assert (answer.status, answer.json) == (200, nothing | shown)
