"""Going through the accounts of a distributor, and through what the payment provider has charged it."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from itertools import islice

from portal.accounts.records import Account, Renewal, find_accounts_at, find_renewals, list_directory
from portal.adapters.stripe import Intent
from portal.billing import records
from portal.billing.issue import midnight
from portal.billing.reconciliation import accounts, documents, payments
from portal.billing.reconciliation.findings import Findings
from portal.billing.reconciliation.records import find_by_reference
from portal.billing.reconciliation.walk import AT_ONCE, Place, Walk
from portal.payments.records import find_charge, find_page
from portal.scope import EVERYTHING
from portal.subscriptions.spans import next_term, spans
from portal.tree import Node


def all_accounts(walk: Walk, place: Place) -> Iterator[Place]:
    entries = list_directory(EVERYTHING, walk.of, after=place.after)
    while some := list(islice(entries, AT_ONCE)):
        walk.check(partial(_some, walk, [each.account_node for each in some]))
        yield Place(stage=place.stage, after=some[-1].account_id)


def _some(walk: Walk, nodes: list[Node], again: bool) -> Findings:
    found = find_accounts_at(EVERYTHING, nodes)
    annual = {node for node, each in found.items() if _is_ever_annual(each, walk.now)}
    renewals = find_renewals(EVERYTHING, annual)
    for node, account in found.items():
        yield from accounts.check_subscription(account)
        if node in annual:
            renewal = renewals.get(node)
            waits = walk.is_excused or _is_parked(account, renewal, walk.now)
            yield from accounts.check_renewal(account, renewal, walk.now, waits=waits)


def _is_ever_annual(account: Account, now: datetime) -> bool:
    return any(span.plan == "annual" for span in spans(account, now))


def _is_parked(account: Account, renewal: Renewal | None, now: datetime) -> bool:
    """Whether the invoice that is late waits for an operator; not looked for where none is late."""
    term = next_term(spans(account, now), renewal.term_start_on if renewal else None)
    if term is None or midnight(term.start) > now - documents.PATIENCE:
        return False
    sk = records.bill_key("annual", term.start, account.account_id)
    bill = records.find_bill(EVERYTHING, account.node.distributor_node, sk)
    return bill is not None and bill.state == "parked"


def charged_intents(walk: Walk, place: Place) -> Iterator[Place]:
    """What the provider has taken in, in the order of its ids."""
    for intent_id, intent in sorted((walk.intents or {}).items()):
        if intent_id > place.after and intent.status == "succeeded":
            walk.check(partial(_intent, walk, intent))
            yield Place(stage=place.stage, after=intent_id)


def _intent(walk: Walk, intent: Intent, again: bool) -> Findings:
    bill = find_by_reference(EVERYTHING, walk.of, intent.metadata.get("reference", ""))
    if bill is None:
        yield from payments.check_charged(intent, None, None, None, walk.now)
        return
    payment = records.find_payment(EVERYTHING, bill, intent.intent_id)
    if payment is not None:
        yield from payments.check_recorded(bill, [payment], {intent.intent_id: intent})
        return
    charge, page = find_charge(EVERYTHING, bill), find_page(EVERYTHING, bill)
    yield from payments.check_charged(intent, bill, charge, page, walk.now)
