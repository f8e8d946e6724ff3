from dataclasses import replace

import pytest

from portal import access
from portal.access import access_parts, accessible_to, admitted
from portal.table import stage, write
from portal.tree import Node
from tests.trees import store
from tests.world import World, administrator

DISTRIBUTOR = Node("dst_1")
LIMITED = replace(administrator(DISTRIBUTOR), limited=True)


def test_a_full_part_of_a_list_is_followed_by_another(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_IDS_IN_A_PART", 2)
    store(*access_parts(DISTRIBUTOR, LIMITED.user_id, ["prt_1", "prt_2", "prt_3"]))
    sizes = []
    for number in range(4, 8):
        write([stage(each) for each in admitted(LIMITED, f"prt_{number}")])
        sizes.append(len(accessible_to(LIMITED) or ()))
    assert sizes == [4, 5, 6, 7]


def test_who_sees_all_needs_no_list(world: World) -> None:
    entered = replace(LIMITED, portal=DISTRIBUTOR.child("prt_1"))
    assert admitted(administrator(DISTRIBUTOR), "prt_1") == admitted(entered, "acc_1") == []
