"""A whole distributor, stored at once: for tests that need a tree, and not the way it came about."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from zlib import crc32

from portal import keys
from portal.access import access_parts
from portal.accounts.records import Account, AccountPath, DirectoryEntry
from portal.billing.lines import stored_line
from portal.billing.rating import Line
from portal.billing.records import Bill, BillPart, BillReference, new_usage
from portal.billing.seller import seller
from portal.distributors.records import Distributor, schedule
from portal.identity.records import Session, User
from portal.operators.records import Parked
from portal.partners.records import Partner
from portal.permissions import Permission
from portal.reports.records import requested
from portal.scope import Caller
from portal.table import MOST_WRITES, Item, Put, stage, write
from portal.tasks.protection import MOST_CHARACTERS, MOST_SELECTED, Selected
from portal.tasks.records import Entity, Task
from portal.tasks.rules import MOST_TASKS
from portal.tree import DIRECT, VENDOR, Node
from tests.world import administrator


@dataclass(frozen=True)
class Tree:
    """Where the things of a planted distributor are."""

    distributor: Node
    partner: Node
    account: Node
    """Under the partner."""
    direct: Node
    """A direct account."""
    task_id: str
    reference: str
    """Of an issued bill."""
    reports: dict[Node, str]
    """By portal, the id of a waiting report, if any was planted."""
    parked_id: str
    """Of a bill that waits for an operator, if it was planted."""
    users: dict[Node, Caller]
    """An administrator of each portal."""


def store(*records: Item) -> None:
    """Put records into the table as they are."""
    for first in range(0, len(records), MOST_WRITES):
        write([stage(Put(record)) for record in records[first : first + MOST_WRITES]])


def signed_in(caller: Caller, at: datetime) -> Caller:
    """The caller with a stored session, from which it can enter other portals."""
    session = Session(
        *keys.session(f"ses_{caller.user_id}"),
        session_id=f"ses_{caller.user_id}",
        user_path=str(caller.home),
        user_id=caller.user_id,
        portal_path=str(caller.portal),
        entered_through=[],
        tag_key="",
        refresh_hash="",
        created_at=at,
        ends_at=at + timedelta(days=1),
    )
    store(session)
    return replace(caller, session_id=session.session_id)


def plant(at: datetime, name: str = "north", *, waiting: bool = False) -> Tree:
    """A distributor with a partner, an account of the partner's with a task, a direct one, an issued bill.

    With `waiting` also a report that each user asked for, and a bill that waits for an operator.
    """
    distributor = Node(f"dst_{name}")
    reference = str(90_000 + crc32(name.encode()) % 10_000)
    partner = distributor.child(f"prt_{name}")
    account, direct = partner.child(f"acc_{name}"), distributor.child(DIRECT).child(f"acc_{name}_direct")
    store(
        Distributor(
            keys.node(distributor),
            keys.NODE,
            distributor_id=distributor.distributor,
            name=f"{name.title()} Distribution",
            email=f"office@{name}.example.com",
            country="LU",
            business="distributor",
            payment_day=1,
            billed_from_on=at.date().replace(day=1),
            billing_method="invoice",
            currency="USD",
            tax_rate=Decimal("0.17"),
            tax_name="VAT",
            created_at=at,
        ),
        schedule(distributor, "usage", at + timedelta(days=1)),
        schedule(distributor, "monthly", at + timedelta(days=30)),
        *partner_records(partner, f"{name.title()} Partner", at),
        *account_records(account, f"{name.title()} Account", at),
        *account_records(direct, f"{name.title()} Direct", at),
        *bill_records(account, reference, at),
        a_task(account, f"tsk_{name}", at),
    )
    users = {node: administrator(node) for node in (distributor, partner, account, direct)}
    store(*(a_user(caller, at) for caller in users.values()))
    reports = {}
    if waiting:
        reports = {node: requested(caller, {"filters": {}}, "link", at) for node, caller in users.items()}
        store(*reports.values(), *parked_records(distributor, f"prk_{name}", at))
    return Tree(
        distributor,
        partner,
        account,
        direct,
        task_id=f"tsk_{name}",
        reference=reference,
        reports={node: report.report_id for node, report in reports.items()},
        parked_id=f"prk_{name}",
        users=users,
    )


def partner_records(node: Node, name: str, at: datetime) -> list[Item]:
    email = f"{node.partner.replace('_', '-')}@example.com"
    return [
        Partner(
            keys.node(node),
            keys.NODE,
            partner_id=node.partner,
            partner_code=node.partner,
            name=name,
            email=email,
            country="LU",
            created_at=at,
        )
    ]


def account_records(node: Node, name: str, at: datetime) -> list[Item]:
    """A subscribed account with all that belongs to it."""
    pk, sk = keys.account_path(node.account)
    return [
        Account(
            keys.node(node),
            keys.NODE,
            account_id=node.account,
            name=name,
            email=f"{node.account.replace('_', '-')}@example.com",
            state="subscribed",
            plan="monthly",
            subscription_default={"mode": "subscription_without_trial", "plan": "monthly"},
            subscribed_on=at.date(),
            created_at=at,
        ),
        DirectoryEntry(
            keys.node(node.distributor_node),
            keys.directory(node.account),
            account_id=node.account,
            partner_id=node.partner,
        ),
        AccountPath(pk, sk, path=str(node)),
        new_usage(node),
    ]


def bill_records(account: Node, reference: str, at: datetime) -> list[Item]:
    """An issued bill of last month over 2.00 and tax, with one line: of this account."""
    distributor = account.distributor_node
    start, end = at.date().replace(day=1) - timedelta(days=31), at.date().replace(day=1)
    sk = keys.bill(end, "monthly", "invoice")
    where = {"distributor_id": distributor.distributor, "bill_sk": sk, "issued_on": end}
    line = Line(
        account_id=account.account,
        partner_id=account.partner,
        account_name="North Account",
        account_email="acc-north@example.com",
        service="microsoft_365_exchange",
        kind="monthly",
        quantity=Decimal(1),
        unit_price=200,
        discount=Decimal(0),
        days=31,
        of_days=31,
        amount=200,
    )
    entry = {
        "account_id": account.account,
        "partner_id": account.partner,
        "outcome": "billed",
        "reason": None,
    }
    return [
        Bill(
            keys.node(distributor),
            sk,
            bill_kind="monthly",
            bill_method="invoice",
            state="issued",
            period_start_on=start,
            period_end_on=end,
            currency="USD",
            payer={"name": "North", "email": "office@north.example.com", "country": "LU"},
            seller=seller(),
            prices={},
            tax_rate=Decimal("0.17"),
            tax_name="VAT",
            roster_complete=True,
            part_count=1,
            rated_to=1,
            line_count=1,
            reference=reference,
            issued_on=end,
            due_on=end + timedelta(days=30),
            net_minor=200,
            tax_minor=34,
            total_minor=234,
            look_at=datetime.combine(end + timedelta(days=30), time(), at.tzinfo),
            created_at=at,
        ),
        BillPart(
            keys.bill_parts(distributor, sk),
            keys.bill_part(1),
            roster=[{**entry, "name": line.account_name, "email": line.account_email}],
            lines=[stored_line(line)],
            rated_in=1,
        ),
        BillReference(keys.node(distributor), keys.reference(reference), **where),
        BillReference(*keys.reference_path(reference), **where),
    ]


def parked_records(distributor: Node, parked_id: str, at: datetime) -> list[Item]:
    """A bill of the month before last that a guard rail stopped."""
    end = (at.date().replace(day=1) - timedelta(days=1)).replace(day=1)
    sk = keys.bill(end, "monthly", "invoice")
    return [
        Bill(
            keys.node(distributor),
            sk,
            bill_kind="monthly",
            bill_method="invoice",
            state="parked",
            period_start_on=end - timedelta(days=30),
            period_end_on=end,
            currency="USD",
            payer={"name": "North", "email": "office@north.example.com", "country": "LU"},
            prices={},
            tax_rate=Decimal("0.17"),
            roster_complete=True,
            parked_because=["far_above_recent_bills"],
            created_at=at,
        ),
        Parked(
            keys.node(VENDOR),
            keys.parked(parked_id),
            parked_id=parked_id,
            distributor_id=distributor.distributor,
            bill_sk=sk,
            reasons=["far_above_recent_bills"],
            state="waiting",
            created_at=at,
        ),
    ]


def a_task(account: Node, task_id: str, at: datetime, service: str = "microsoft_365_exchange") -> Task:
    return Task(
        keys.node(account),
        keys.task(task_id),
        task_id=task_id,
        service=service,
        name="Mail",
        protect={"scope": "all"},
        state="active",
        created_at=at,
    )


def biggest_tasks(account: Node, at: datetime, state: str = "active") -> list[Task]:
    """As many tasks as an account may have, each as big as it may be."""
    length = MOST_CHARACTERS // MOST_SELECTED
    entity_ids = [f"{number:03d}".ljust(length, "x") for number in range(MOST_SELECTED)]
    protect = Selected(entity_ids=entity_ids).model_dump()
    tasks = [a_task(account, f"tsk_{number:060d}", at) for number in range(MOST_TASKS)]
    for task in tasks:
        task.protect, task.state, task.name = protect, state, "\N{GRINNING FACE}" * 100
    return tasks


def an_entity(account: Node, task_id: str, entity_id: str, at: datetime, **values: object) -> Entity:
    usual = {
        "service": "microsoft_365_exchange",
        "name": f"mailbox {entity_id}",
        "entity_kind": "mailbox",
        "status": "active",
        "licensed": True,
        "size_bytes": 1000,
    }
    return Entity(
        keys.node(account),
        keys.entity(task_id, entity_id),
        entity_id=entity_id,
        task_id=task_id,
        changed_at=at,
        changed_by="evt",
        timeline=[],
        **{**usual, **values},
    )


def a_user(caller: Caller, at: datetime, *, accessible: Iterable[str] | None = None) -> User:
    """The stored user behind a caller, active; with a list of accessible accounts, if one is given."""
    if accessible is not None:
        store(*access_parts(caller.home, caller.user_id, accessible))
    is_administrator = Permission.USERS_MANAGE in caller.permissions
    return User(
        keys.node(caller.home),
        keys.user(caller.user_id),
        user_id=caller.user_id,
        email=caller.email,
        name=caller.name,
        role="administrator" if is_administrator else "custom",
        permissions=[] if is_administrator else sorted(caller.permissions),
        limited=accessible is not None,
        state="active",
        created_at=at,
    )
