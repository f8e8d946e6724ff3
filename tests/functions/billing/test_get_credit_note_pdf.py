from typing import Any

from portal.adapters import files
from portal.tree import Node
from tests import books
from tests.portal.billing.bill_samples import texts_of
from tests.world import OPERATOR, World, administrator


def credit(world: World, **body: Any) -> None:
    given = {"reason": "One mailbox was counted twice", **body}
    path = {"reference": "10001"}
    answer = world.call("operators.create_credit_note", OPERATOR, path=path, body=given)
    assert answer.status == 201, answer.text


def test_it_says_what_bill_it_corrects_and_why(world: World, north: Node) -> None:
    line = {"account_id": "acc_000001", "service": books.EXCHANGE, "quantity": 3}
    credit(world, lines=[line])
    path = {"reference": "CN-10001"}
    answer = world.call("billing.get_credit_note_pdf", administrator(north), path=path)
    assert (answer.status, answer.headers["Location"]) == (302, answer.json["url"])
    [page] = texts_of(files.read("bills/dst_north/CN-10001.pdf"))
    for said in (
        "Credit note CN-10001",
        "Taken off bill 10001",
        "Customer 1",
        "2.11 USD",
        "Reason: One mailbox was counted twice",
    ):
        assert said in page, page


def test_one_of_an_amount_has_no_lines_but_a_total(world: World, north: Node) -> None:
    credit(world, amount="1.17", currency="USD")
    world.call("billing.get_credit_note_pdf", administrator(north), path={"reference": "CN-10001"})
    [page] = texts_of(files.read("bills/dst_north/CN-10001.pdf"))
    assert "Account" not in page
    assert "1.17 USD" in page


def test_the_worker_renders_and_mails_it_once(world: World, north: Node) -> None:
    credit(world, all=True)
    world.stream("notifications.deliver_outbox")
    world.work("billing.on_document_wanted", "Documents")
    assert files.exists("bills/dst_north/CN-10001.pdf")
    world.stream("notifications.deliver_outbox")
    world.work("notifications.on_mail_wanted", "Mail")
    said = [text for text in world.mail_to("office@north.example.com") if "credit note CN-10001" in text]
    assert len(said) == 1
    assert "less is owed on bill 10001" in said[0]


def test_other_distributors_credit_notes_do_not_exist(world: World, north: Node) -> None:
    credit(world, all=True)
    south, path = books.a_payer(world.now.date(), "south"), {"reference": "CN-10001"}
    assert world.call("billing.get_credit_note_pdf", administrator(south), path=path).code == "not_found"
    for reference in ("CN-10002", "10001", "CN-"):
        path = {"reference": reference}
        assert world.call("billing.get_credit_note_pdf", administrator(north), path=path).code == "not_found"
