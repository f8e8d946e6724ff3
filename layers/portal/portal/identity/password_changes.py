"""Setting a password anew, whatever shows that one may."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from portal.errors import Conflict, FieldError, Invalid
from portal.identity import actions, passwords, rules
from portal.identity.records import Link, Session, User
from portal.journal import Message
from portal.notifications.messages import mail
from portal.scope import Origin
from portal.table import Update, Write

Password = Annotated[str, Field(min_length=passwords.SHORTEST, max_length=passwords.LONGEST)]


class NewPassword(BaseModel, extra="forbid"):
    """What a password is to be, typed twice."""

    new: Password
    confirmation: Annotated[str, Field(max_length=passwords.LONGEST)]


class NoPassword(Conflict):
    detail = "You sign in with Google or Microsoft: your password is theirs to change."


# Choosing


def check(chosen: NewPassword, *, email: str, password_hash: str | None) -> None:
    """Whether this can be the password of the user with this address, who has had another one until now.

    Raises:
        Invalid: too short, common, the same as before, or typed differently the second time.
    """
    if chosen.confirmation != chosen.new:
        raise _wrong("confirmation", "This is not what you typed as your new password.")
    if weakness := passwords.weakness(chosen.new, email=email):
        raise _wrong("new", weakness)
    if passwords.matches(chosen.new, password_hash):
        raise _wrong("new", "This is your password already; choose another.")


def first(link: Link, user: User, password: str | None, now: datetime) -> list[Write]:
    """The password of somebody who follows an invitation; none where a password is not what the user signs in with.

    Raises:
        Invalid: there is none, or one too many; or it is too short or common.
    """
    if link.purpose != "invitation" or user.sign_in_type != "email":
        if password is not None:
            raise _wrong("password", "No password is chosen by this link.")
        return []
    if password is None:
        raise _wrong("password", "Choose a password.")
    if weakness := passwords.weakness(password, email=user.email):
        raise _wrong("password", weakness)
    return [actions.credentials_of(user, rules.with_password(user, passwords.hashed(password), now))]


def _wrong(field: str, message: str) -> Invalid:
    return Invalid(errors=(FieldError(field, message),))


@dataclass(frozen=True, slots=True)
class PasswordChange:
    writes: list[Write]
    messages: list[Message]


def change(user: User, password: str, origin: Origin, *, keep: Session | None = None) -> PasswordChange:
    """A new password that was checked. All sessions of people end, but for the one to `keep`; the user is told.

    Links that were mailed before, and an address that was to be confirmed, are void: whoever is being shut out by it
    may have asked for them.
    """
    change = rules.password_changed(user)
    chosen = rules.with_password(user, passwords.hashed(password), origin.at)
    credentials = actions.credentials_of(user, chosen)
    kept = [Update(keep, rules.carried_over(change))] if keep else []
    return PasswordChange([credentials, Update(user, change), *kept], [told(user, origin)])


def told(user: User, origin: Origin) -> Message:
    """The mail that tells a user that the password was changed, and from where."""
    return mail(
        user.node,
        to=[user.email],
        template="password_changed",
        parameters={
            "name": user.name,
            "at": f"{origin.at:%Y-%m-%d %H:%M} UTC",
            "browser": rules.browser(origin.user_agent),
            "address": origin.address,
        },
    )
