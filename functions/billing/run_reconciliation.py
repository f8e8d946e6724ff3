"""Schedule: daily at 04:30 UTC

Has every distributor's books reconciled: what is recent or still open each night, and once in four weeks, each
distributor on a night of its own, everything from the beginning.
"""

import zlib

from portal.distributors.records import list_distributors
from portal.job import Run, job
from portal.scope import EVERYTHING

_NIGHTS = 28


@job
def handler(run: Run) -> int:
    night = run.as_of.toordinal() % _NIGHTS
    distributors = ["", *(each.distributor_id for each in list_distributors(EVERYTHING))]
    bodies = (
        {"distributor_id": each, "full": zlib.crc32(each.encode()) % _NIGHTS == night}
        for each in distributors
    )
    return run.send("Reconciliation", bodies)
