"""What may be asked for."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from portal.errors import FieldError, Invalid, TooManyRequests
from portal.streamed_files import rules as files

if TYPE_CHECKING:
    from portal.reports.records import Report

MOST_ACCOUNTS_BY_ID = 100
TOO_LARGE = "The report would be larger than a zip file can be. Choose fewer accounts."


class TooManyReports(TooManyRequests):
    detail = f"{files.MOST_UNFINISHED} of your reports are still being written; wait for one of them."


def check_choice(account_ids: object, filters: object) -> None:
    """Accounts are chosen one way.

    Raises:
        Invalid: by their ids and with filters at once.
    """
    if account_ids and filters:
        raise Invalid(
            errors=(FieldError("filters", "Choose accounts by account_ids or by filters, not both."),)
        )


def admit(reports: Iterable["Report"], now: datetime) -> None:
    """Let one more report of the same user in.

    Raises:
        TooManyReports: as many as one user may wait for are unfinished.
    """
    if not files.has_room(reports, now):
        raise TooManyReports
