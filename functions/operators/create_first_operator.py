"""Invoked by hand after the first deployment: `{"email": "...", "name": "..."}`

Invites the vendor's first operator by mail. It can be repeated, with another address too, until somebody has
followed the link; from then on it is refused. No way leads here through the API.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from portal import clock
from portal.consumer import Work
from portal.fields import Name
from portal.identity.actions import invite_instead
from portal.identity.emails import Email
from portal.identity.records import list_users
from portal.journal import Activity, Entry
from portal.operators import records, rules
from portal.scope import EVERYTHING
from portal.table import Put, settled
from portal.telemetry import logger
from portal.tree import VENDOR


class FirstOperator(BaseModel, extra="forbid"):
    email: Email
    name: Name


@logger.inject_lambda_context(clear_state=True)
def handler(event: Mapping[str, Any], context: Any) -> dict[str, str]:
    operator = FirstOperator.model_validate(event)
    work = Work(clock.now(), context)
    settled(lambda: _invite(work, operator))
    return {"invited": operator.email}


def _invite(work: Work, operator: FirstOperator) -> None:
    invited = list(list_users(EVERYTHING, VENDOR))
    rules.may_begin(invited)
    invitation = invite_instead(invited, VENDOR, operator.email, operator.name, work.now)
    # The vendor's own record is made only once, so of two first invitations at once one is refused.
    first = (
        [] if records.find_vendor(EVERYTHING) else [Put(records.vendor(work.now), taken=rules.OperatorExists)]
    )
    entry = Entry(Activity.USER_MANAGEMENT, VENDOR, f"Invited the first operator {operator.email}")
    work.commit(*first, *invitation.writes, audit=[entry], send=invitation.messages)
