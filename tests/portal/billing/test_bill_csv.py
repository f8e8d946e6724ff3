import csv
import io
from decimal import Decimal

from portal.billing import bill_csv
from tests.portal.billing.bill_samples import a_bill


def rows(names: list[str], partners: tuple[str, ...] = ("direct",)) -> list[dict[str, str]]:
    text = bill_csv.render(a_bill(names, partners)).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_row_says_all_of_its_line() -> None:
    assert rows(["Agata Brown"], ("prt_1",)) == [
        {
            "Reference": "80035",
            "Period start": "2022-12-24",
            "Period end": "2023-01-23",
            "Partner": "Jacob Anderson",
            "Partner ID": "DDEVR002",
            "Account": "Agata Brown",
            "E-mail": "customer0@example.com",
            "Account ID": "acc_000000",
            "Service": "Microsoft 365 Exchange",
            "Kind": "monthly",
            "Quantity": "4",
            "Unit price": "3.00",
            "Discount": "40 %",
            "Days": "31",
            "Days of period": "31",
            "Amount": "7.20",
            "Currency": "USD",
        }
    ]


def test_the_amounts_sum_to_the_bills_net_total() -> None:
    bill = a_bill([f"Customer {number}" for number in range(230)], ("direct", "prt_1"))
    text = bill_csv.render(bill).decode("utf-8-sig")
    amounts = [Decimal(row["Amount"]) for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert (len(amounts), f"{sum(amounts)}") == (230, bill.total.net.amount)


def test_names_that_a_spreadsheet_would_run_are_escaped() -> None:
    assert [row["Account"] for row in rows(["=1+1", "@SUM(A1)", "Ромашка, «Лес»"])] == [
        "'=1+1",
        "'@SUM(A1)",
        "Ромашка, «Лес»",
    ]


def test_rendering_again_gives_the_same_bytes() -> None:
    assert bill_csv.render(a_bill(["A", "B"])) == bill_csv.render(a_bill(["A", "B"]))
