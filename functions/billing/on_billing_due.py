"""Queue: Billing

Bills a distributor's periods, or an account's annual terms, that have ended or begun by `as_of`. What has not
ended yet is not billed, whatever `as_of` says: it serves to repeat an earlier run, not to run ahead.
"""

from datetime import UTC
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, RootModel

from portal.billing.annual import invoice_terms
from portal.billing.monthly import bill_months
from portal.consumer import Work, consumer
from portal.tree import Node


class Monthly(BaseModel):
    kind: Literal["monthly"]
    distributor_id: str
    as_of: AwareDatetime | None = None


class Annual(BaseModel):
    kind: Literal["annual"]
    account: str
    """Path of the account."""
    as_of: AwareDatetime | None = None


class BillingDue(RootModel[Annotated[Monthly | Annual, Field(discriminator="kind")]]):
    pass


@consumer
def handler(work: Work, message: BillingDue) -> None:
    due = message.root
    until = min(due.as_of or work.now, work.now).astimezone(UTC)
    if isinstance(due, Annual):
        invoice_terms(work, Node.parse(due.account), until)
    elif not bill_months(work, Node(due.distributor_id), until):
        work.again("Billing", message)
