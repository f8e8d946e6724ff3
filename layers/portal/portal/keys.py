"""Every key of the table and its indexes. No other module spells `#` or `|`.

Partition keys spell the path in the tenant tree and end with a terminator, so a tenant's subtree is one
`dynamodb:LeadingKeys` pattern (`D#dst_1|P#prt_2|*`), and `dst_1` is never mistaken for `dst_10`.

    partition (pk)                     sort key (sk)                    item
    V|                                 NODE                             the vendor
                                       USER#usr                         an operator
                                       PARKED#prk                       something waiting for an operator
                                       HOLD                             what was found of the numbers of all bills
    D#dst|                             NODE                             distributor
                                       SCHEDULE#monthly|usage           when its next run is due
                                       PAYMENT_DETAILS                  who pays, and where bills go
                                       PAYER                            its customer at the payment provider, its active card
                                       CARD#pm                          a card that it added
                                       CREDIT_BALANCE                   what it has paid in excess
                                       HOLD                             that its books are held, or were
                                       PRICES#2023-01-01                price book in effect from that date
                                       ACCOUNT#acc                      directory: under which partner an account is
                                       PARTNER_ID#<folded>              which partner has that visible Partner ID
                                       BILL#2023-01-24#monthly#invoice  a consolidated bill, by period end and method
                                       BILL#2022-08-17#annual#acc       an annual invoice, by term start
                                       CREDIT#10023#CN-10001            a credit note for the bill of that number
                                       CREDIT_NOTE#CN-10001             which credit note has that number
                                       REFERENCE#10023                  which bill has that number
                                       LEDGER#<instant>#<id>            a balanced set of postings
                                       FORECAST                         which forecast of the next bill is shown
    D#dst|BILL#...|                    PART#00001                       100 accounts of that bill: roster and lines
                                       PAYMENT#pay                      money received for it
                                       CHARGE                           how far charging it to a card is
                                       PAYMENT_PAGE                     the hosted page on which it can be paid
    D#dst|USAGE|                       ACCOUNT#acc                      an account's daily billable counts
    D#dst|FORECAST|                    PART#2023-01-24#00001            what 100 accounts are forecast to be billed
    D#dst|P#prt|                       NODE                             partner (`direct` is reserved)
                                       ROLLUP                           sums over its accounts
    D#dst|P#prt|A#acc|                 NODE                             account
                                       RENEWAL                          when its next annual term has to be invoiced
                                       TASK#tsk                         backup task
                                       RUN#tsk#<instant>#run            one run of it
                                       ENTITY#tsk#<id>                  one thing it protects
                                       EVENT#<event id>                 an engine event that was taken in
                                       ROLLED_UP                        what this account adds to its partner's sums
    any node's partition               USER#usr                         a user of that portal
                                       ACCESS#usr#00001                 part of a list of accessible accounts
                                       SECURITY                         password policy and IP restrictions
                                       API_KEY#cid                      an API key of one of its users
                                       AUDIT#<instant>#<id>             audit entry
                                       AUDIT_EXPORT#aex                 a CSV file of audit entries
                                       OUTBOX#<id>                      an effect to be carried out
                                       IDEMPOTENCY#<operation>#<hash>   the answer to a repeated POST
                                       REPORT#rep                       a usage report
                                       MAILED#<hash>                    a mail that was sent to one recipient
    EMAIL#<folded>|                    EMAIL                            who owns an e-mail address
    SIGN_IN#<folded>|                  FAILED#<instant>#<id>            a sign-in with an address that nobody owned
                                       OUTBOX#<id>                      that the password of this address was forgotten
    USER#usr|                          CREDENTIALS                      what a user signs in with
                                       SESSION#ses                      which sessions it has
    TOKEN#<hash>|                      TOKEN                            access token
    SESSION#ses|                       SESSION                          sign-in session with its refresh token
    LINK#<hash>|                       LINK                             one-time link sent by mail
    CHALLENGE#<hash>|                  CHALLENGE                        a sign-in that waits for its next step
    THROTTLE#<hash>|                   THROTTLE                         attempts counted in a window of time
    FEDERATED#<hash>|                  FEDERATED                        who signs in with this provider identity
    PROVIDER#<hash>|                   PROVIDER                         a sign-in on its way through a provider
    CLIENT#cid|                        CLIENT                           an API key's secret, by its client id
    ACCOUNT#acc|                       PATH                             where an account is (engine, operators)
    REFERENCE#10023|                   PATH                             whose bill it is (operators)
    SEQUENCE#bills|                    SEQUENCE                         the gapless bill number
    CUSTOMER#cus|                      PATH                             whose customer it is at the payment provider
    PROVIDER_EVENT#evt|                EVENT                            what the payment provider told, once
                                       OUTBOX#<id>                      that it has to be looked into

    index            partition                        sort key
    by_parent        V|  D#dst|  D#dst|P#prt|          DISTRIBUTOR#dst, PARTNER#prt, ROLLUP#prt, ACCOUNT#acc
    by_distributor   D#dst|ACCOUNTS|                   ACCOUNT#acc: every account, its partners' too
                     D#dst|AUDIT|                      AUDIT#<instant>#<id>: its own audit entries and its partners'
                     D#dst|USAGE|                      ACCOUNT#acc: accounts with usage to be snapshot
                     D#dst|OPEN|                       <due date>#<bill>: bills not settled yet
                     D#dst|BILLS|                      <issue date>#<number>: issued bills
                     D#dst|LEDGER|                     <document>#<entry>: what was booked of it
    by_due           <kind>|2023-01                    <instant>#<id>: what a schedule has to look at, per month
    audit_by_user      V|AUDIT_USER#<folded>|            AUDIT#<instant>#<id>: what that e-mail address did
                       D#dst|AUDIT_USER#<folded>|        likewise in the distributor's portal and its partners'
    audit_by_account   ...|AUDIT_ACCOUNT#<folded>|       what was done about that partner or account
    audit_by_activity  ...|AUDIT_ACTIVITY#sign-in#failed|  every such entry

A month's partition of `by_due` holds only what is due in that month, and things leave it when done: no partition
grows with the whole system's history.
"""

from datetime import date, datetime

from portal.tree import Node, Tier

_END = "|"

NODE = "NODE"


def node(of: Node) -> str:
    """The partition of a tenant: `D#dst_1|P#prt_2|`."""
    if of.tier is Tier.VENDOR:
        return "V" + _END
    return "".join(f"{letter}#{part}{_END}" for letter, part in zip("DPA", of.path, strict=False))


def node_of(pk: str) -> Node:
    """The tenant whose partition (or partition below it) this is; the inverse of `node`."""
    parts = dict(part.split("#", 1) for part in pk.split(_END) if "#" in part)
    return Node(parts.get("D", ""), parts.get("P", ""), parts.get("A", ""))


def folded(email: str) -> str:
    """An e-mail address as it stands in keys: trimmed and case-folded."""
    return email.strip().casefold()


def instant(at: datetime) -> str:
    """An instant as it sorts in keys: milliseconds, UTC, `2023-01-24T00:00:00.000Z`."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


# Sort keys


def user(user_id: str = "") -> str:
    return f"USER#{user_id}"


def access_list(user_id: str, part: int | None = None) -> str:
    return f"ACCESS#{user_id}#" + ("" if part is None else f"{part:05d}")


def api_key(client_id: str = "") -> str:
    return f"API_KEY#{client_id}"


def audit_entry(at: datetime, entry_id: str) -> str:
    return f"AUDIT#{instant(at)}#{entry_id}"


def audit_range(since: datetime | None, until: datetime | None) -> tuple[str, str]:
    """Between which two lie the audit entries from one instant on and before another."""
    return f"AUDIT#{instant(since) if since else ''}", f"AUDIT#{instant(until) if until else '~'}"


def audit_export(export_id: str = "") -> str:
    return f"AUDIT_EXPORT#{export_id}"


def outbox(message_id: str) -> str:
    return f"OUTBOX#{message_id}"


def idempotency(operation: str, key_hash: str) -> str:
    return f"IDEMPOTENCY#{operation}#{key_hash}"


def report(report_id: str = "") -> str:
    return f"REPORT#{report_id}"


def mailed(mail_hash: str) -> str:
    return f"MAILED#{mail_hash}"


def partner_code(folded: str) -> str:
    return f"PARTNER_ID#{folded}"


def parked(parked_id: str = "") -> str:
    return f"PARKED#{parked_id}"


def schedule(kind: str) -> str:
    return f"SCHEDULE#{kind}"


def prices(effective_on: date | None = None) -> str:
    return f"PRICES#{effective_on.isoformat() if effective_on else ''}"


def directory(account_id: str = "") -> str:
    return f"ACCOUNT#{account_id}"


def bill(on: date | None = None, kind: str = "", what: str = "") -> str:
    """A bill's sort key; with fewer arguments, the prefix that those bills share."""
    return "#".join(part for part in ("BILL", on.isoformat() if on else "", kind, what) if part) + (
        "" if what else "#"
    )


def bills_from(on: date) -> tuple[str, str]:
    """Between which two lie the bills from a day on."""
    return f"{bill()}{on.isoformat()}", f"{bill()}~"


def bill_parts(distributor: Node, bill_sk: str) -> str:
    """The partition of what belongs to one bill."""
    return f"{node(distributor)}{bill_sk}{_END}"


def bill_of(pk: str) -> str:
    """The sort key of the bill in whose partition something is; the inverse of `bill_parts`."""
    return pk.rstrip(_END).rpartition(_END)[2]


def usage(of: Node) -> tuple[str, str]:
    """An account's usage. A distributor's lie in one partition in the order of the roster: 100 are read for little."""
    return f"{node(of.distributor_node)}USAGE{_END}", directory(of.account)


def bill_part(number: int | None = None) -> str:
    return "PART#" + ("" if number is None else f"{number:05d}")


def forecast_parts(distributor: Node) -> str:
    """The partition of a large distributor's forecasts."""
    return f"{node(distributor)}FORECAST{_END}"


def forecast_part(on: date, number: int | None = None) -> str:
    return f"PART#{on.isoformat()}#" + ("" if number is None else f"{number:05d}")


def payment(payment_id: str = "") -> str:
    return f"PAYMENT#{payment_id}"


def card(card_id: str = "") -> str:
    return f"CARD#{card_id}"


def credit_note(bill_reference: str = "", number: str = "") -> str:
    """A credit note; with fewer arguments, the prefix that those of one bill, or all, share."""
    return f"CREDIT#{bill_reference}#{number}" if bill_reference else "CREDIT#"


def credit_note_number(number: str) -> str:
    return f"CREDIT_NOTE#{number}"


def reference(number: str) -> str:
    return f"REFERENCE#{number}"


def ledger(at: datetime | None = None, entry_id: str = "") -> str:
    return f"LEDGER#{instant(at)}#{entry_id}" if at else "LEDGER#"


def task(task_id: str = "") -> str:
    return f"TASK#{task_id}"


def run(task_id: str, started_at: datetime | None = None, run_id: str = "") -> str:
    return f"RUN#{task_id}#{instant(started_at)}#{run_id}" if started_at else f"RUN#{task_id}#"


def entity(task_id: str = "", entity_id: str = "") -> str:
    """One entity; without its id, the prefix of a task's entities; without a task, of all of the account's."""
    return f"ENTITY#{task_id}#{entity_id}" if task_id else "ENTITY#"


def event(event_id: str) -> str:
    return f"EVENT#{event_id}"


MOST_PARTS = 99_999
ROLLUP = "ROLLUP"
ROLLED_UP = "ROLLED_UP"
RENEWAL = "RENEWAL"
PAYMENT_DETAILS = "PAYMENT_DETAILS"
PAYER = "PAYER"
CREDIT_BALANCE = "CREDIT_BALANCE"
HOLD = "HOLD"
CHARGE = "CHARGE"
FORECAST = "FORECAST"
PAYMENT_PAGE = "PAYMENT_PAGE"
SECURITY = "SECURITY"
SESSIONS = "SESSION#"
"""What the sort keys of a user's sessions begin with."""


# Partitions of what is found without knowing the tenant; each has one item with the sort key beside it


def email(folded: str) -> tuple[str, str]:
    return f"EMAIL#{folded}{_END}", "EMAIL"


def failed_sign_in(folded: str, at: datetime, own_id: str) -> tuple[str, str]:
    """A failed sign-in with an e-mail address that nobody owns; a hash where what was typed has not the form of one."""
    return f"SIGN_IN#{folded}{_END}", f"FAILED#{instant(at)}#{own_id}"


def password_forgotten(folded: str, message_id: str) -> tuple[str, str]:
    """The message that somebody has forgotten the password of this address, whether or not anybody owns it."""
    return f"SIGN_IN#{folded}{_END}", outbox(message_id)


def of_user(user_id: str) -> str:
    """The partition of what a user signs in with; only identity functions reach it."""
    return f"USER#{user_id}{_END}"


def credentials(user_id: str) -> tuple[str, str]:
    return of_user(user_id), "CREDENTIALS"


def session_of(user_id: str, session_id: str) -> tuple[str, str]:
    return of_user(user_id), f"{SESSIONS}{session_id}"


def token(token_hash: str) -> tuple[str, str]:
    return f"TOKEN#{token_hash}{_END}", "TOKEN"


def session(session_id: str) -> tuple[str, str]:
    return f"SESSION#{session_id}{_END}", "SESSION"


def link(link_hash: str) -> tuple[str, str]:
    return f"LINK#{link_hash}{_END}", "LINK"


def challenge(challenge_hash: str) -> tuple[str, str]:
    return f"CHALLENGE#{challenge_hash}{_END}", "CHALLENGE"


def throttle(counted_hash: str) -> tuple[str, str]:
    return f"THROTTLE#{counted_hash}{_END}", "THROTTLE"


def federated(identity_hash: str) -> tuple[str, str]:
    return f"FEDERATED#{identity_hash}{_END}", "FEDERATED"


def provider(state_hash: str) -> tuple[str, str]:
    return f"PROVIDER#{state_hash}{_END}", "PROVIDER"


def client(client_id: str) -> tuple[str, str]:
    return f"CLIENT#{client_id}{_END}", "CLIENT"


def account_path(account_id: str) -> tuple[str, str]:
    return f"ACCOUNT#{account_id}{_END}", "PATH"


def reference_path(number: str) -> tuple[str, str]:
    return f"{reference(number)}{_END}", "PATH"


def customer(customer_id: str) -> tuple[str, str]:
    return f"CUSTOMER#{customer_id}{_END}", "PATH"


def provider_event(event_id: str) -> tuple[str, str]:
    """What the payment provider told; that it has to be looked into stands beside it."""
    return f"PROVIDER_EVENT#{event_id}{_END}", "EVENT"


def sequence(name: str) -> tuple[str, str]:
    return f"SEQUENCE#{name}{_END}", "SEQUENCE"


# Indexes


def by_parent(of: Node, kind: str, own_id: str = "") -> tuple[str, str]:
    """Index key of a child of a node; kind is `DISTRIBUTOR`, `PARTNER`, `ROLLUP` or `ACCOUNT`."""
    return node(of), f"{kind}#{own_id}"


def by_distributor(of: Node, rows: str, *parts: str) -> tuple[str, str]:
    """Index key among one distributor's rows; rows is `ACCOUNTS`, `AUDIT`, `USAGE`, `OPEN`, `BILLS` or `LEDGER`."""
    return f"{node(of.distributor_node)}{rows}{_END}", "#".join(parts)


def issued_bill(of: Node, on: date, number: str = "") -> tuple[str, str]:
    """Index key of a bill of that number issued on that day; numbers sort as they were given out."""
    return by_distributor(of, "BILLS", on.isoformat(), number.rjust(12, "0"))


def audit_by_user(of: Node, folded_email: str) -> str:
    """Index partition of what one user did: in the vendor's portal, or in a distributor's and its partners'."""
    return f"{node(of.distributor_node)}AUDIT_USER#{folded_email}{_END}"


def audit_by_account(of: Node, folded_email: str) -> str:
    """Likewise of what was done about one partner or account."""
    return f"{node(of.distributor_node)}AUDIT_ACCOUNT#{folded_email}{_END}"


def audit_by_activity(of: Node, activity: str, status: str) -> str:
    return f"{node(of.distributor_node)}AUDIT_ACTIVITY#{activity}#{status}{_END}"


def by_due(kind: str, at: datetime, own_id: str) -> tuple[str, str]:
    return f"{kind}{_END}{at:%Y-%m}", f"{instant(at)}#{own_id}"


def due_partitions(kind: str, until: datetime, months: int) -> list[str]:
    """The partitions of `by_due` that can hold something due at `until`, latest `months` of them, oldest first."""
    last = until.year * 12 + until.month - 1
    return [
        f"{kind}{_END}{month // 12:04d}-{month % 12 + 1:02d}" for month in range(last - months + 1, last + 1)
    ]


def due_until(at: datetime) -> str:
    """Sorts after everything due at or before `at`."""
    return f"{instant(at)}~"


def split(sort_key: str) -> list[str]:
    """The parts of a sort key."""
    return sort_key.split("#")
