"""What the engine is answered."""

from typing import Literal

from pydantic import BaseModel

from portal.errors import FieldError, PortalError


class FieldProblem(BaseModel):
    field: str
    message: str


class Result(BaseModel):
    """What became of one event. A refused one says why, and is refused again as long as that is so."""

    event_id: str = ""
    """Absent where the event had none that can be read."""
    result: Literal["accepted", "duplicate", "refused"]
    code: str = ""
    detail: str = ""
    errors: list[FieldProblem] = []


class Results(BaseModel):
    """One result for each event, in the order in which they were sent."""

    results: list[Result]


def accepted(event_id: str) -> Result:
    return Result(event_id=event_id, result="accepted")


def duplicate(event_id: str) -> Result:
    return Result(event_id=event_id, result="duplicate")


def refused(event_id: str, refusal: PortalError) -> Result:
    result = Result(result="refused", code=refusal.code(), detail=refusal.detail)
    if event_id:
        result.event_id = event_id
    if refusal.errors:
        result.errors = [_field(error) for error in refusal.errors]
    return result


def _field(error: FieldError) -> FieldProblem:
    return FieldProblem(field=error.field, message=error.message)
