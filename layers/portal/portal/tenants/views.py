"""What a portal shows of the company that it belongs to."""

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from portal.tenants.records import Tenant


class AccountSettings(BaseModel):
    email: str
    pending_email: str | None = Field(description="The address it is to have once that is confirmed there.")
    name: str
    partner_id: str = Field(
        description="A partner's visible Partner ID, a distributor's own id, the partner of an account."
    )
    archive_location: str | None = Field(description="Where an account's backups are kept.")
    address: list[str] | None = Field(
        description="Lines of the postal address; bills go to the billing address."
    )
    phone: str | None = Field(description="E.164.")


def account_settings(tenant: "Tenant") -> AccountSettings:
    return AccountSettings(
        email=tenant.email,
        pending_email=tenant.pending_email,
        name=tenant.name,
        partner_id=getattr(tenant, "partner_code", "") or tenant.node.partner or tenant.node.distributor,
        archive_location=getattr(tenant, "archive_location", None),
        address=tenant.office_address,
        phone=tenant.phone,
    )
