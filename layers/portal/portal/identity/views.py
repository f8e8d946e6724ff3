"""What identity operations answer."""

from typing import Literal

from pydantic import BaseModel, Field

from portal.identity.rules import ACCESS_TOKEN_LASTS
from portal.operation import SecretAnswer
from portal.scope import Caller


class Tokens(SecretAnswer):
    """As OAuth 2.0 has them: the access token goes into the Authorization header, the refresh token gets the
    next pair.
    """

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="Seconds for which the access token is good.")
    refresh_token: str


class Myself(BaseModel):
    user_id: str
    email: str
    name: str


class PortalShown(BaseModel):
    """The portal that the token speaks for. The ids are those of its place in the tree; what does not apply
    is absent.
    """

    tier: Literal["vendor", "distributor", "partner", "account"]
    name: str
    business: Literal["distributor", "direct_partner"] = Field(
        default="distributor",
        description="Distributor portals: a direct partner has accounts but no partners.",
    )
    distributor_id: str = ""
    partner_id: str = ""
    account_id: str = ""


class Me(BaseModel):
    user: Myself
    portal: PortalShown
    entered: bool = Field(description="Whether the user entered this portal from one further up.")
    permissions: list[str] = Field(description="What the user may do in this portal.")
    sees_all: bool = Field(description="False when the user sees only its list of accessible accounts.")
    ip_address: str = Field(description="The address this request came from.")


def tokens(access_token: str, refresh_token: str) -> Tokens:
    return Tokens(
        access_token=access_token,
        token_type="Bearer",
        expires_in=int(ACCESS_TOKEN_LASTS.total_seconds()),
        refresh_token=refresh_token,
    )


def me(caller: Caller, name: str, business: str | None, address: str) -> Me:
    """`name` and `business` are the portal's."""
    place = zip(("distributor_id", "partner_id", "account_id"), caller.portal.path, strict=False)
    about = dict(place) | ({"business": business} if business else {})
    return Me(
        user=Myself(user_id=caller.user_id, email=caller.email, name=caller.name),
        portal=PortalShown.model_validate({"tier": caller.portal.tier.value, "name": name, **about}),
        entered=caller.entered,
        permissions=sorted(caller.permissions),
        sees_all=not caller.limited or caller.entered,
        ip_address=address,
    )
