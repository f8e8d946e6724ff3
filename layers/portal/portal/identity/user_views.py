"""Users as those see them who manage them."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field

from portal.identity.user_rules import MOST_ACCESSIBLE

if TYPE_CHECKING:
    from portal.identity.records import User as UserRecord

Role = Literal["administrator", "custom"]
SignInType = Literal["email", "google", "microsoft"]
State = Literal["invited", "active", "disabled"]

ListedId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]{0,63}$")]
AccessibleAccounts = Literal["all"] | Annotated[list[ListedId], Field(max_length=MOST_ACCESSIBLE)]
"""`all`, also those created later, or ids of partners and direct accounts (of accounts, in a partner's portal)."""


class UserRow(BaseModel):
    user_id: str
    email: str
    pending_email: str | None = Field(description="The address it is to have once that is confirmed there.")
    name: str
    sign_in_type: SignInType
    role: Role
    permissions: list[str] = Field(description="Of a custom role; an administrator has every permission.")
    sees_all: bool = Field(description="False when it sees only a list of accessible accounts.")
    state: State
    two_factor: bool = Field(
        description="Whether signing in asks for a code of an authenticator app as well."
    )
    created_at: datetime


class User(UserRow):
    accessible_accounts: Literal["all"] | list[str] = Field(
        description="`all`, or ids of partners and direct accounts (of accounts, in a partner's portal) as far as you "
        "may see them yourself."
    )


def row(record: "UserRecord") -> UserRow:
    return UserRow.model_validate(_row(record))


def user(record: "UserRecord", accessible: Collection[str] | None, seen: Collection[str] | None) -> User:
    """A user with its list of accessible accounts (None: all), of which those are shown that the caller sees itself."""
    shown: Literal["all"] | list[str] = "all"
    if accessible is not None:
        shown = sorted(accessible if seen is None else set(accessible) & set(seen))
    return User.model_validate(_row(record) | {"accessible_accounts": shown})


def _row(record: "UserRecord") -> dict[str, object]:
    return {
        "user_id": record.user_id,
        "email": record.email,
        "pending_email": record.pending_email,
        "name": record.name,
        "sign_in_type": record.sign_in_type,
        "role": record.role,
        "permissions": record.permissions,
        "sees_all": not record.limited,
        "state": record.state,
        "two_factor": record.two_factor,
        "created_at": record.created_at,
    }
