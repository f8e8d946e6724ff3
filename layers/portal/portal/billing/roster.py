"""The roster of a consolidated bill: every account of the distributor, written down before anything is rated.

It is read from the directory in the distributor's own partition, consistently, never from an index. Each part
of 100 accounts is put in one transaction with the bill's note of how far the roster has come, so a run that
dies anywhere goes on where it stopped, and copies of a run get in nobody's way.
"""

from itertools import islice

from portal import keys
from portal.accounts.records import list_directory
from portal.billing.lines import rostered
from portal.billing.records import Bill, BillPart, Overtaken
from portal.change import Change
from portal.consumer import Work
from portal.scope import EVERYTHING
from portal.table import Put, Update, Write

ACCOUNTS_IN_A_PART = 100


def write_roster(work: Work, bill: Bill) -> None:
    """Go on until the roster is complete or time is short.

    Raises:
        Contended: a copy of this run was faster.
    """
    entries = list_directory(EVERYTHING, bill.node, after=bill.rostered_to or "")
    while not bill.roster_complete:
        page = list(islice(entries, ACCOUNTS_IN_A_PART))
        change = Change(roster_complete=len(page) < ACCOUNTS_IN_A_PART)
        writes: list[Write] = []
        if page:
            number = int(bill.part_count) + 1
            change |= Change(part_count=number, rostered_to=page[-1].account_id)
            part = BillPart(
                keys.bill_parts(bill.node, bill.sk),
                keys.bill_part(number),
                roster=[rostered(entry) for entry in page],
                lines=[],
            )
            writes.append(Put(part, taken=Overtaken))
        work.commit(*writes, Update(bill, change))
        if work.time_is_short:
            return
