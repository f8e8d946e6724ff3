"""The monthly run: one consolidated bill per distributor and period, in arrears.

It is a row of small steps, and where it stands is all in the table: the distributor's schedule names the
period and its bill, the bill says how far its roster and its rating are. Each step loads that, does a piece
and notes it under the versions it has read. So the run may be killed at any point, run twice or at once, or
be continued in another invocation, and still each period ends as one bill: issued, parked for an operator, or
recorded as having nothing to bill.
"""

from datetime import datetime, timedelta
from functools import partial

from portal import keys
from portal.billing import digests, drafts, lines, rules
from portal.billing.follow_up import follow_up
from portal.billing.guard_rails import MOST_RECENT, reasons_to_park
from portal.billing.holds import find_hold
from portal.billing.issue import PATIENCE, issuing, period_billed
from portal.billing.parking import parked
from portal.billing.part_rating import is_outdated, rate_parts
from portal.billing.rating import taxed
from portal.billing.records import Bill, Overtaken, bill_key, find_bill
from portal.billing.roster import write_roster
from portal.change import Change
from portal.consumer import Work
from portal.distributors.records import Distributor, Schedule, get_distributor, get_schedule
from portal.money import Money
from portal.periods import period_ending, periods_ending
from portal.scope import EVERYTHING
from portal.table import Put, Update, settled
from portal.tree import Node


def bill_months(work: Work, distributor: Node, until: datetime) -> bool:
    """Bill the periods that have ended by `until`, oldest first; False when time ran short before the end."""
    while not settled(lambda: _step(work, distributor, until), times=PATIENCE):
        if work.time_is_short:
            return False
    return True


def _step(work: Work, at: Node, until: datetime) -> bool:
    """Do the next piece; True when nothing is left to do, or an operator has to do something first."""
    schedule = get_schedule(EVERYTHING, at, "monthly")
    if schedule.follow_up_sk:
        follow_up(work, schedule)
        return False
    if schedule.due_at > until or find_hold(EVERYTHING, at):
        return True
    distributor = get_distributor(EVERYTHING, at.distributor)
    bill = find_bill(EVERYTHING, at, schedule.bill_sk) if schedule.bill_sk else None
    if bill is None:
        _draft(work, distributor, schedule)
    elif bill.state == "parked":
        return True
    elif not bill.roster_complete:
        write_roster(work, bill)
    elif bill.rated_to < bill.part_count:
        rate_parts(work, bill)
    elif is_outdated(work, bill):
        work.commit(Update(bill, rules.gone_through_again(bill)))
    else:
        # Many runs want a number at once: who has to wait for one need not look through all usage again.
        settled(partial(_conclude, work, at, int(bill.version), until), times=PATIENCE)
    return False


def _draft(work: Work, distributor: Distributor, schedule: Schedule) -> None:
    period = period_ending(int(distributor.payment_day), schedule.due_at.date())
    values = drafts.drafted(distributor, "monthly", period)
    bill_sk = bill_key("monthly", period.end, values["bill_method"])
    bill = Bill(keys.node(distributor.node), bill_sk, **values, created_at=work.now)
    work.commit(Put(bill, taken=Overtaken), Update(schedule, Change(bill_sk=bill_sk)))


def _conclude(work: Work, at: Node, version: int, until: datetime) -> None:
    """Issue a bill that is rated as a whole, park it, or record that there is nothing to bill; unless it has changed."""
    schedule, distributor = (
        get_schedule(EVERYTHING, at, "monthly"),
        get_distributor(EVERYTHING, at.distributor),
    )
    bill = find_bill(EVERYTHING, at, schedule.bill_sk) if schedule.bill_sk else None
    if bill is None or bill.version != version:
        return None
    total = taxed(Money(int(bill.net_minor), bill.currency), lines.tax_of(bill))
    reasons: list[str] = list(bill.concerns or ())
    released = bill.parked_because or ()
    if bill.line_count:
        reasons += reasons_to_park(
            (), total.gross, earlier_bills(distributor, bill), _periods_due(distributor, schedule, until)
        )
    if reasons := [reason for reason in reasons if reason not in released]:
        waiting = parked(distributor.node, bill.sk, reasons, work.now)
        return work.commit(Update(bill, rules.parked(total, reasons)), waiting)
    moved = period_billed(schedule, distributor, bill, work.now)
    if not bill.line_count:
        return work.commit(Update(bill, Change(state="nothing_to_bill")), moved)
    issue = issuing(distributor.node, bill.sk, "monthly", bill.bill_method, total, work.now)
    issued = digests.sealed(bill, issue.change)
    return work.commit(Update(bill, issued), moved, *issue.writes, send=issue.messages)


def _periods_due(distributor: Distributor, schedule: Schedule, until: datetime) -> int:
    end = schedule.due_at.date()
    return sum(1 for _ in periods_ending(int(distributor.payment_day), end - timedelta(days=1), until.date()))


def earlier_bills(distributor: Distributor, bill: Bill) -> list[Money]:
    """What the last three bills of the same method came to, oldest first."""
    found: list[Money] = []
    end = bill.period_start_on
    while len(found) < MOST_RECENT and end > distributor.billed_from_on:
        earlier = find_bill(EVERYTHING, distributor.node, bill_key("monthly", end, bill.bill_method))
        if earlier and earlier.issued_on:
            found.insert(0, lines.total_of_bill(earlier).gross)
        end = period_ending(int(distributor.payment_day), end).start
    return found
