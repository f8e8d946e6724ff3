from typing import Any

import pytest

from portal.change import Change
from portal.journal import Message, OutboxMessage, written
from portal.scope import SYSTEM
from portal.table import Delete, Update, stage, write
from portal.tree import Node
from tests.support.faults import Fault
from tests.support.harness import Harness
from tests.world import World

NODE = Node("dst_1", "prt_1")


def send(world: World, *messages: tuple[str, dict[str, Any]]) -> list[OutboxMessage]:
    writes = written([], [Message(queue, NODE, body) for queue, body in messages], by=SYSTEM, at=world.now)
    write(writes)
    return [each.record for each in writes if isinstance(each.record, OutboxMessage)]


def bodies(world: World, queue: str) -> list[int]:
    return sorted(message["n"] for message in world.messages(queue))


def test_each_message_goes_to_its_queue(world: World) -> None:
    send(world, ("Mail", {"n": 1}), ("EngineCommands", {"n": 2}), ("Mail", {"n": 3}))
    world.stream("notifications.deliver_outbox")
    assert bodies(world, "Mail") == [1, 3]
    assert bodies(world, "EngineCommands") == [2]


def test_more_than_a_batch_is_delivered_whole(world: World) -> None:
    send(world, *(("Mail", {"n": number}) for number in range(25)))
    world.stream("notifications.deliver_outbox")
    assert bodies(world, "Mail") == list(range(25))


def test_messages_that_expire_are_not_delivered_again(world: World) -> None:
    [record] = send(world, ("Mail", {"n": 1}))
    world.stream("notifications.deliver_outbox")
    assert bodies(world, "Mail") == [1]
    write([Delete(record)])
    world.stream("notifications.deliver_outbox")
    assert bodies(world, "Mail") == []


def test_a_message_is_not_delivered_again_when_its_record_is_touched(world: World) -> None:
    [record] = send(world, ("Mail", {"n": 1}))
    world.stream("notifications.deliver_outbox")
    assert bodies(world, "Mail") == [1]
    write([stage(Update(record, Change(expires_at=record.expires_at + 1)))])
    world.stream("notifications.deliver_outbox")
    assert bodies(world, "Mail") == []


def test_a_queue_that_takes_only_some_gets_the_batch_again(world: World, harness: Harness) -> None:
    send(world, *(("Mail", {"n": number}) for number in range(4)))
    before = world.snapshot()
    harness.fail(kind=Fault.UNPROCESSED, match=lambda call: call.name == "sqs.SendMessageBatch")
    with pytest.raises(RuntimeError, match="Mail did not take 2 of 4 messages"):
        world.stream("notifications.deliver_outbox")
    world.restore(before)
    world.stream("notifications.deliver_outbox")
    assert set(bodies(world, "Mail")) == {0, 1, 2, 3}
