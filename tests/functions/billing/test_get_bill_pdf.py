import urllib.parse
from datetime import UTC, datetime

import boto3
import pytest

from portal.adapters import files
from portal.tree import Node
from tests import books
from tests.world import OPERATOR, World, administrator


@pytest.fixture
def north(world: World) -> Node:
    """A distributor with a consolidated bill, 10001, and an annual invoice, 10002."""
    world.now = datetime(2022, 12, 24, 3, tzinfo=UTC)
    distributor = books.a_payer(world.now.date())
    books.store(books.an_account(distributor, 1, counts=4))
    world.now = datetime(2023, 1, 24, 3, tzinfo=UTC)
    books.run_month(world)
    books.store(books.an_account(distributor, 2, plan="annual", subscribed_on=world.now.date()))
    books.run_year(world)
    return distributor


def get_pdf(world: World, distributor: Node, reference: str = "10001"):
    return world.call("billing.get_bill_pdf", administrator(distributor), path={"reference": reference})


def test_it_leads_to_a_link_that_works_for_five_minutes(world: World, north: Node) -> None:
    answer = get_pdf(world, north)
    assert answer.status == 302
    assert answer.headers["Location"] == answer.json["url"]
    assert answer.json["expires_at"] == "2023-01-24T03:05:00Z"
    url = urllib.parse.urlsplit(answer.json["url"])
    query = urllib.parse.parse_qs(url.query)
    assert url.path == "/portal-files/bills/dst_north/10001.pdf"
    assert query["X-Amz-Expires"] == ["300"]
    assert query["response-content-disposition"] == ['attachment; filename="bill-10001.pdf"']


def test_a_document_that_nobody_has_rendered_yet_is_rendered_and_kept(world: World, north: Node) -> None:
    assert not files.exists("bills/dst_north/10001.pdf")
    get_pdf(world, north)
    assert files.read("bills/dst_north/10001.pdf").startswith(b"%PDF-1.")


def test_it_is_the_one_that_the_worker_would_have_rendered_byte_for_byte(world: World, north: Node) -> None:
    get_pdf(world, north)
    here = files.read("bills/dst_north/10001.pdf")
    files.delete(["bills/dst_north/10001.pdf"])
    world.stream("notifications.deliver_outbox")
    world.work("billing.on_document_wanted", "Documents")
    assert files.read("bills/dst_north/10001.pdf") == here


def test_a_document_that_is_kept_is_never_written_again(world: World, north: Node) -> None:
    get_pdf(world, north)
    client = boto3.client("s3")
    kept = client.head_object(Bucket="portal-files", Key="bills/dst_north/10001.pdf")
    client.put_object(Bucket="portal-files", Key="bills/dst_north/10001.pdf", Body=b"as it was")
    get_pdf(world, north)
    assert kept["ContentType"] == "application/pdf"
    assert files.read("bills/dst_north/10001.pdf") == b"as it was"


def test_an_annual_invoice_has_one_too(world: World, north: Node) -> None:
    assert get_pdf(world, north, "10002").status == 302
    assert files.exists("bills/dst_north/10002.pdf")


def test_other_numbers_and_other_distributors_bills_do_not_exist(world: World, north: Node) -> None:
    south = books.a_payer(world.now.date(), "south")
    assert get_pdf(world, north, "10003").code == "not_found"
    assert get_pdf(world, south).code == "not_found"
    assert get_pdf(world, north, "..%2Fother").code == "not_found"
    for caller in (OPERATOR, administrator(north.child("prt_1")), administrator(books.node_of(north))):
        assert world.call("billing.get_bill_pdf", caller, path={"reference": "10001"}).code == "not_permitted"
