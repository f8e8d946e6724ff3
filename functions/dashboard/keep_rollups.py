"""Stream: changes of accounts

Brings the sums of the accounts' partners in line, within seconds of any change.
"""

from collections.abc import Sequence

from portal.accounts.records import Account
from portal.consumer import Changed, Work, stream_consumer
from portal.dashboard import actions


@stream_consumer(Account)
def handler(work: Work, changes: Sequence[Changed]) -> None:
    records = (change.after or change.before for change in changes)
    actions.roll_up(work, (record.node for record in records if record is not None))
