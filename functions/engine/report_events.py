"""POST /v1/engine/events

Takes in what the backup engine reports. Every event is taken in or refused by itself, and sending one again
changes nothing, so after any failure the whole call can be repeated.
"""

from typing import Annotated

from pydantic import BaseModel, Field, SkipValidation

from portal.engine import intake, views
from portal.engine.events import MOST_EVENTS, Event
from portal.operation import Call, operation
from portal.permissions import Permission


class Report(BaseModel, extra="forbid"):
    events: Annotated[list[SkipValidation[Event]], Field(min_length=1, max_length=MOST_EVENTS)]
    """Validated one by one, so that a bad one does not keep out the rest."""


@operation(Permission.ENGINE_REPORT)
def handler(call: Call, body: Report) -> views.Results:
    return views.Results(results=intake.take_in(body.events, call.now, call.commit_now))
