from datetime import UTC, datetime

from portal.adapters import files
from portal.tree import Node
from tests import books
from tests.builders import Mail, deliver_mail
from tests.world import OPERATOR, World


def issued(world: World) -> Node:
    world.now = datetime(2022, 12, 24, 3, tzinfo=UTC)
    distributor = books.a_payer(world.now.date())
    books.store(books.an_account(distributor, 1, counts=4))
    world.now = datetime(2023, 1, 24, 3, tzinfo=UTC)
    books.run_month(world)
    return distributor


def rendered(world: World) -> list[Mail]:
    """Let the worker do what is waiting, then the mail."""
    world.stream("notifications.deliver_outbox")
    world.work("billing.on_document_wanted", "Documents")
    return deliver_mail(world)


def test_an_issued_bill_is_rendered_and_mailed_with_its_pdf(world: World) -> None:
    issued(world)
    (mail,) = rendered(world)
    assert files.exists("bills/dst_north/10001.csv")
    assert (mail.to, mail.subject) == ("office@north.example.com", "Your bill 10001")
    assert "8.42 USD" in mail.text
    assert "2023-02-23" in mail.text
    assert mail.files == {"bill-10001.pdf": files.read("bills/dst_north/10001.pdf")}


def test_a_message_that_comes_twice_changes_no_file_and_mails_nothing_again(world: World) -> None:
    distributor = issued(world)
    assert len(rendered(world)) == 1
    before = files.read("bills/dst_north/10001.pdf")
    (bill,) = books.bills(distributor)
    for _ in range(2):
        world.deliver("billing.on_document_wanted", {"distributor_id": "dst_north", "bill_sk": bill.sk})
    assert rendered(world) == []
    assert files.read("bills/dst_north/10001.pdf") == before


def test_a_receipt_is_rendered_and_mailed_once_as_the_payment_details_say(world: World) -> None:
    distributor = issued(world)
    rendered(world)
    for amount in ("1.00", "10.00"):
        body = {"amount": amount, "currency": "USD", "received_on": "2023-01-24", "excess": "keep"}
        world.call("operators.record_payment", OPERATOR, path={"reference": "10001"}, body=body)
    part, rest = sorted(rendered(world), key=lambda mail: sorted(mail.files))
    assert (part.to, part.subject) == ("office@north.example.com", "Payment received for bill 10001")
    assert part.files == {"receipt-10001-1.pdf": files.read("bills/dst_north/receipt-10001-1.pdf")}
    assert "7.42 USD is still owed on it." in part.text
    assert list(rest.files) == ["receipt-10001-2.pdf"]
    assert "2.58 USD of it is more than was owed." in rest.text
    before = files.read("bills/dst_north/receipt-10001-1.pdf")
    for wanted in [body for body in books.outbox(distributor, "Documents") if "payment" in body]:
        world.deliver("billing.on_document_wanted", wanted)
    assert rendered(world) == []
    assert files.read("bills/dst_north/receipt-10001-1.pdf") == before


def test_an_annual_invoice_is_a_pdf_only(world: World) -> None:
    distributor = books.a_payer(world.now.date())
    books.store(books.an_account(distributor, plan="annual", subscribed_on=world.now.date()))
    books.run_year(world)
    (mail,) = rendered(world)
    assert list(mail.files) == ["invoice-10001.pdf"]
    assert mail.subject == "Your invoice 10001"
    assert not files.exists("bills/dst_north/10001.csv")


def test_a_bill_that_is_not_issued_is_not_rendered(world: World) -> None:
    distributor = books.a_payer(datetime(2022, 12, 24, tzinfo=UTC).date(), prices=None)
    books.store(books.an_account(distributor))
    world.now = datetime(2023, 1, 24, 3, tzinfo=UTC)
    books.run_month(world)
    (bill,) = books.bills(distributor)
    message = {"body": f'{{"distributor_id": "dst_north", "bill_sk": "{bill.sk}"}}', "messageId": "m-1"}
    record = message | {
        "receiptHandle": "h",
        "attributes": {},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    }
    answer = world.handler("billing.on_document_wanted")({"Records": [record]}, world.context)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
