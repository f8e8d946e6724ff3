from datetime import UTC, datetime

import pytest

from portal.tree import Node
from tests import books
from tests.builders import a_partner
from tests.world import World


@pytest.fixture
def north(world: World) -> Node:
    """A consolidated bill, 10001, for a direct account and one of a partner; an annual invoice, 10002."""
    world.now = datetime(2022, 12, 24, 3, tzinfo=UTC)
    distributor = books.a_payer(world.now.date())
    partner = a_partner(world, distributor, name="Jacob Anderson", partner_id="DDEVR002")
    books.store(books.an_account(distributor, 1, counts=4))
    of_partner = books.an_account(distributor, 2, counts=1, partner=partner.partner)
    of_partner[0].name = "=HYPERLINK(1)"
    books.store(of_partner)
    world.now = datetime(2023, 1, 24, 3, tzinfo=UTC)
    books.run_month(world)
    books.store(books.an_account(distributor, 3, plan="annual", subscribed_on=world.now.date()))
    books.run_year(world)
    return distributor
