"""A user's authenticator app: set up, asked, replaced and turned off."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from portal.adapters import vault
from portal.change import Change
from portal.errors import Conflict, Invalid
from portal.identity import actions, passwords, rules, totp, views
from portal.identity.records import Credentials, User
from portal.journal import Message
from portal.notifications.messages import mail
from portal.scope import Origin
from portal.settings import settings
from portal.table import Update, Write

_PURPOSE = "totp"
CODE, RECOVERY_CODE = "code", "recovery code"
TURNED_ON, REPLACED, TURNED_OFF = (
    "Turned on two-factor authentication",
    "Replaced the authenticator app",
    "Turned off two-factor authentication",
)
"""How the audit trail and a mail to the user tell it."""


Code = Annotated[str, Field(pattern=r"^[0-9]{6}$")]
RecoveryCode = Annotated[str, Field(min_length=1, max_length=40)]


class Proof(BaseModel, extra="forbid"):
    """That it is you who asks: one of these."""

    password: Annotated[str, Field(min_length=1, max_length=passwords.LONGEST)] = ""
    code: Code = Field(default="", description="Of the authenticator app that is in use.")
    recovery_code: RecoveryCode = ""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("Send a password, a code or a recovery code.")
        return self


class WrongCode(Invalid):
    detail = "This code is wrong, or was used before."


class NotProved(Invalid):
    detail = "This password or code is wrong, or the code was used before."


class NothingBegun(Conflict):
    detail = "Begin to set up an authenticator app first."


class TwoFactorOff(Conflict):
    detail = "Two-factor authentication is off already."


class TwoFactorRequired(Conflict):
    detail = (
        "Your portal requires two-factor authentication. You can set up another authenticator app instead."
    )


# Setting up


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A secret for an app: what the user is shown of it, once, and what is stored."""

    shown: views.Authenticator
    sealed: str


def enrolment(user: User) -> Enrolment:
    secret = totp.new_secret()
    uri = totp.uri(secret, email=user.email, issuer=settings.vendor_name)
    shown = views.Authenticator(secret=secret, otpauth_uri=uri, qr_svg=totp.qr_svg(uri))
    return Enrolment(shown, vault.seal(secret, user.node, _PURPOSE, user=user.user_id))


@dataclass(frozen=True, slots=True)
class TurnedOn:
    writes: list[Write]
    recovery_codes: list[str]


def turn_on(
    user: User, credentials: Credentials | None, sealed: str, code: str, now: datetime
) -> TurnedOn | None:
    """Let this app be the one that is asked from now on, with new recovery codes; None if the code is not its own."""
    step = totp.matching_step(vault.unseal(sealed, user.node, _PURPOSE, user=user.user_id), code, now)
    if step is None:
        return None
    codes = totp.new_recovery_codes()
    change = Change(
        totp_secret=sealed,
        totp_begun=None,
        totp_step=step,
        recovery_hashes=[totp.recovery_hash(each, user.user_id) for each in codes],
    )
    written = Update(credentials, change) if credentials else actions.credentials_of(user, change)
    return TurnedOn([written, Update(user, Change(two_factor=True))], codes)


def turned_off(user: User, credentials: Credentials) -> list[Write]:
    """Forget a user's app and recovery codes."""
    return [Update(credentials, rules.without_app()), Update(user, Change(two_factor=False))]


def told(user: User, what: str, origin: Origin) -> Message:
    """The mail that tells a user what became of the app (`TURNED_ON`, `REPLACED`, `TURNED_OFF`), and from where."""
    return mail(
        user.node,
        to=[user.email],
        template="authenticator_changed",
        parameters={
            "name": user.name,
            "what": what,
            "at": f"{origin.at:%Y-%m-%d %H:%M} UTC",
            "browser": rules.browser(origin.user_agent),
            "address": origin.address,
        },
    )


# Asking


def proved(user: User, credentials: Credentials | None, proof: Proof, now: datetime) -> Change | None:
    """What a proof uses up; None if it is wrong."""
    if proof.code:
        return code_used(user, credentials, proof.code, now)
    if proof.recovery_code:
        return recovery_code_used(user, credentials, proof.recovery_code)
    right = passwords.matches(proof.password, rules.password_hash_of(user, credentials))
    return Change() if right else None


def code_used(user: User, credentials: Credentials | None, code: str, now: datetime) -> Change | None:
    """Use up a code of the user's app; None if it is wrong or of a time step that was used up before."""
    if credentials is None or not credentials.totp_secret:
        return None
    secret = vault.unseal(credentials.totp_secret, user.node, _PURPOSE, user=user.user_id)
    used = None if credentials.totp_step is None else int(credentials.totp_step)
    step = totp.matching_step(secret, code, now, used=used)
    return None if step is None else Change(totp_step=step)


def recovery_code_used(user: User, credentials: Credentials | None, code: str) -> Change | None:
    """Use up one of the user's recovery codes; None if it is none of those that are left."""
    shown = totp.recovery_hash(code, user.user_id)
    if credentials is None or shown not in credentials.recovery_hashes:
        return None
    return Change(recovery_hashes=[each for each in credentials.recovery_hashes if each != shown])
