"""POST /v1/auth/password/forgot

Mails a link to set a new password, good once and for 24 hours, to the user with this e-mail address. The answer is the
same, after the same work, whether or not there is one. Asking again voids the earlier link, but not a good invitation.
"""

from typing import Annotated

from pydantic import BaseModel, Field

from portal.identity import password_help
from portal.operation import Call, public_operation
from portal.table import Put


class Forgotten(BaseModel, extra="forbid"):
    email: Annotated[str, Field(min_length=1, max_length=254)]


@public_operation(because="Whoever has forgotten the password cannot sign in.")
def handler(call: Call, body: Forgotten) -> None:
    password_help.throttled(body.email, call.origin)
    call.commit(Put(password_help.forgotten(body.email, call.now)))
