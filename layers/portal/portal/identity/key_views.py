"""What the operations on API keys answer."""

from datetime import date, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from portal.operation import SecretAnswer

if TYPE_CHECKING:
    from portal.identity import records


class ApiKey(BaseModel):
    client_id: str
    name: str
    user_id: str = Field(description="Whose key it is: it may do what this user may.")
    email: str = Field(description="That user's e-mail address.")
    created_at: datetime
    last_used_on: date | None = Field(
        description="UTC date on which it last got an access token; null if it never has."
    )


class NewApiKey(SecretAnswer):
    client_id: str
    client_secret: str = Field(description="Shown this once: only a hash of it is kept.")
    name: str
    created_at: datetime


def api_key(key: "records.ApiKey", client: "records.ApiClient | None", email: str) -> ApiKey:
    """`client` and `email` are those of the key."""
    return ApiKey(
        client_id=key.client_id,
        name=key.name,
        user_id=key.user_id,
        email=email,
        created_at=key.created_at,
        last_used_on=client.last_used_on if client else None,
    )


def new_api_key(key: "records.ApiKey", secret: str) -> NewApiKey:
    return NewApiKey(client_id=key.client_id, client_secret=secret, name=key.name, created_at=key.created_at)
