"""What identity operations answer."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from portal.identity.records import Session
from portal.identity.rules import browser
from portal.operation import SecretAnswer
from portal.scope import Caller

if TYPE_CHECKING:
    from portal.identity.records import Security


class Tokens(SecretAnswer):
    """As OAuth 2.0 has them: the access token goes into the Authorization header, the refresh token gets the
    next pair.
    """

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="Seconds for which the access token is good.")
    refresh_token: str
    recovery_codes: list[str] = Field(
        default=[],
        description="Each gets you in once without the authenticator app. Shown when it was just set up, and never again.",
    )


class Authenticator(SecretAnswer):
    """What an authenticator app is set up with: it reads the QR code, or takes the secret as it is typed."""

    secret: str = Field(description="Base32.")
    otpauth_uri: str
    qr_svg: str = Field(description="The URI as a QR code: an SVG element.")


class Challenge(SecretAnswer):
    """What is asked before there are tokens: send it with the answer to /v1/auth/challenge."""

    challenge: Literal["totp", "password_expired", "enrol_totp"]
    challenge_token: str = Field(description="Good once, and for this sign-in only.")
    expires_in: int = Field(description="Seconds for which it can be answered.")
    authenticator: Authenticator = Field(
        default=None,  # type: ignore[assignment]
        description="With `enrol_totp`: set the app up with it, and answer with its first code.",
    )
    recovery_codes: list[str] = Field(default=[], description="As with tokens.")


class RecoveryCodes(SecretAnswer):
    recovery_codes: list[str] = Field(
        description="Each gets you in once without the authenticator app. They are shown this once."
    )


class SecurityPolicy(BaseModel):
    """What a portal asks of all of its users."""

    password_expires_after_days: int | None
    two_factor_required: bool


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


class SessionShown(BaseModel):
    """A sign-in that can still be used."""

    session_id: str
    created_at: datetime
    ends_at: datetime
    address: str = Field(description="The IP address it was opened from.")
    browser: str = Field(description="What it was opened with: a browser's name, or that of a program.")
    current: bool = Field(description="Whether it is the one that is asking.")


def session(session: Session, current: Session | None) -> SessionShown:
    return SessionShown(
        session_id=session.session_id,
        created_at=session.created_at,
        ends_at=session.ends_at,
        address=session.address or "",
        browser=browser(session.user_agent or ""),
        current=current is not None and session.session_id == current.session_id,
    )


def tokens(access_token: str, refresh_token: str, lasts: timedelta) -> Tokens:
    return Tokens(
        access_token=access_token,
        token_type="Bearer",
        expires_in=int(lasts.total_seconds()),
        refresh_token=refresh_token,
    )


def challenge(
    step: str, token: str, lasts: timedelta, authenticator: Authenticator | None = None
) -> Challenge:
    shown = {"challenge": step, "challenge_token": token, "expires_in": int(lasts.total_seconds())}
    return Challenge.model_validate(shown | ({"authenticator": authenticator} if authenticator else {}))


def policy(security: "Security | None") -> SecurityPolicy:
    days = security.password_expires_after_days if security else None
    return SecurityPolicy(
        password_expires_after_days=None if days is None else int(days),
        two_factor_required=bool(security and security.two_factor_required),
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
