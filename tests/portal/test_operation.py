"""What the runtime promises of every operation."""

from portal.adapters import queues
from portal.tree import Node
from tests.builders import a_distributor
from tests.support import Harness
from tests.world import World, administrator

NEW_ACCOUNT = {"name": "Rosy White", "email": "rosy.white@example.com"}


def _repeat(world: World, distributor: Node, body: dict[str, str] = NEW_ACCOUNT, key: str = "key-1"):  # type: ignore[no-untyped-def]
    return world.call(
        "accounts.create_account", administrator(distributor), body=body, headers={"Idempotency-Key": key}
    )


def test_copies_of_a_request_at_once_get_the_same_answer(world: World, harness: Harness) -> None:
    distributor = a_distributor(world)

    for seed, outcomes in harness.rounds(8, lambda: _repeat(world, distributor), seeds=range(5)):
        answers = {outcome.get().text for outcome in outcomes}
        assert {outcome.get().status for outcome in outcomes} == {201}, seed
        assert len(answers) == 1, seed
        listed = world.call("accounts.list_accounts", administrator(distributor)).json
        assert listed["total"] == 1, seed


def test_a_key_is_new_again_after_two_days_even_if_its_answer_is_still_there(world: World) -> None:
    distributor = a_distributor(world)
    first = _repeat(world, distributor)

    world.advance(days=2, seconds=-1)
    assert _repeat(world, distributor).json == first.json
    world.advance(seconds=2)
    assert _repeat(world, distributor).code == "email_taken"
    another = _repeat(world, distributor, {"name": "Bob", "email": "bob@example.com"})
    assert another.status == 201
    assert _repeat(world, distributor, {"name": "Bob", "email": "bob@example.com"}).json == another.json


def test_a_key_is_good_for_one_request_only(world: World) -> None:
    distributor = a_distributor(world)
    _repeat(world, distributor)

    assert (
        _repeat(world, distributor, {"name": "Bob", "email": "bob@example.com"}).code
        == "idempotency_key_reused"
    )


def test_a_key_that_is_no_text_is_refused(world: World) -> None:
    assert _repeat(world, a_distributor(world), key="\ud800").code == "invalid"


def test_a_large_answer_is_repeated_whole(world: World) -> None:
    distributor = a_distributor(world)
    unknown = [f"acc_{number:026d}" for number in range(5000)]

    answers = [
        world.call(
            "subscriptions.subscribe_accounts",
            administrator(distributor),
            body={"plan": "monthly", "accounts": unknown},
            headers={"Idempotency-Key": "many"},
        )
        for _ in range(2)
    ]

    assert len(answers[0].text) > 300_000
    assert answers[1].json == answers[0].json
    assert answers[1].headers["Idempotent-Replayed"] == "true"


def test_however_much_is_wrong_the_answer_stays_small(world: World) -> None:
    wrong = {f"{number}{'x' * 5000}": 1 for number in range(150)}

    answer = world.call("identity.sign_in", body=wrong)

    assert (answer.status, answer.code) == (400, "invalid")
    assert len(answer.json["errors"]) == 50
    assert len(answer.text) < 20_000


def test_a_list_can_be_paged_whatever_its_names(world: World) -> None:
    distributor = a_distributor(world)
    for number in range(3):
        world.call(
            "accounts.create_account",
            administrator(distributor),
            body={"name": "\ufdfa" * 120, "email": f"long-{number}@example.com"},
        )

    seen, cursor = [], None
    for _ in range(3):
        query = {"limit": "1"} | ({"cursor": cursor} if cursor else {})
        answer = world.call("accounts.list_accounts", administrator(distributor), query=query).json
        seen += [row["email"] for row in answer["items"]]
        cursor = answer["next_cursor"]

    assert sorted(seen) == [f"long-{number}@example.com" for number in range(3)]
    assert cursor is None


def test_large_messages_go_in_several_batches(world: World, harness: Harness) -> None:
    bodies = [{"number": number, "text": "x" * 120_000} for number in range(10)]

    assert queues.send("Mail", bodies) == 10

    arrived = world.messages("Mail")
    assert sorted(body["number"] for body in arrived) == list(range(10))
    batches = [call for call in harness.calls if call.name == "sqs.SendMessageBatch"]
    assert (
        max(sum(len(entry["MessageBody"]) for entry in call.parameters["Entries"]) for call in batches)
        <= 250_000
    )
