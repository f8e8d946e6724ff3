"""Mail that an operation, job or worker wants sent: a message for the queue `Mail`."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from portal import ids
from portal.journal import Message
from portal.tree import Node


class Attachment(BaseModel):
    """A file of the bucket. Where the files of a mail are too large together, the mail links to `link`
    instead.
    """

    key: str
    name: str
    link: str = ""
    """Path below the portal's address, e.g. `/billing/history/80035`; empty: the portal itself."""


class LinkWanted(BaseModel):
    """A one-time link that the mail is to carry. It is made when the mail is sent, so that no secret lies in a queue."""

    user_id: str
    purpose: Literal["invitation", "password", "email", "tenant_email"]
    """As `portal.identity.records.Link` has it; of `tenant_email`, which is no user's, the user id is empty."""
    email: str
    """The address that the link proves: nobody else is mailed it, nor when it is no longer the user's (new) one."""


class MailWanted(BaseModel):
    """The body of such a message, as the worker reads it."""

    node: str
    to: list[str]
    to_billing: bool
    template: str
    parameters: dict[str, Any]
    attach: list[Attachment]
    dedupe: Annotated[str, Field(min_length=1)]
    link: LinkWanted | None = None
    """The template gets it as the parameter `link`; without one left to make, nothing is mailed."""


def mail(
    node: Node,
    *,
    to: Iterable[str] = (),
    to_billing: bool = False,
    template: str,
    parameters: Mapping[str, Any],
    attach: Iterable[Mapping[str, str]] = (),
    dedupe: str = "",
    link: LinkWanted | None = None,
) -> Message:
    """One mail per recipient, on behalf of the portal at `node`.

    Args:
        to_billing: send it also to those of the portal's users who get its billing notifications.
        template: one of `portal.notifications.templates`; `parameters` are what it fills in, all JSON values.
        attach: `{"key", "name"}` of files in the bucket, with `link` where there is a page for them.
        dedupe: what the mail is and for which period, e.g. `bill-reminder 80035 14`: nobody gets two with the
        same one
            from the same portal. Without it the mail stands for itself.
        link: of a user of the portal at `node`.
    """
    wanted = MailWanted(
        node=str(node),
        to=list(to),
        to_billing=to_billing,
        template=template,
        parameters=dict(parameters),
        attach=[Attachment.model_validate(each) for each in attach],
        dedupe=dedupe or ids.secret(),
        link=link,
    )
    return Message("Mail", node, wanted.model_dump(mode="json"))
