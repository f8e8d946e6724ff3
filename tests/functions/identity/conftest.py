"""A distributor whose first administrator has signed in: what many of these tests begin with."""

import pytest

from portal.scope import Caller
from portal.tree import Node
from tests.builders import a_distributor, bearer, confirm, sign_in
from tests.world import World

_OFFICE = "office@north.example.com"


@pytest.fixture
def distributor(world: World) -> Node:
    node = a_distributor(world)
    confirm(world, _OFFICE)
    return node


@pytest.fixture
def caller(world: World, distributor: Node) -> Caller:
    return bearer(world, sign_in(world, _OFFICE)["access_token"])
