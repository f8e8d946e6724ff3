"""API keys: a user's own credentials for its programs."""

from dataclasses import dataclass
from datetime import datetime

from portal import ids, keys
from portal.change import Change
from portal.errors import Conflict, NotPermitted
from portal.identity import tokens
from portal.identity.records import ApiClient, ApiKey, User, list_api_keys
from portal.scope import Caller, Scope
from portal.table import Put, Update, Write

MOST_KEYS = 20
"""Of one user."""


class TooManyApiKeys(Conflict):
    detail = f"A user has at most {MOST_KEYS} API keys: delete one that is not used any more."


class OwnPortalOnly(NotPermitted):
    detail = "An API key belongs to your own portal: create it there, not in a portal that you entered."


@dataclass(frozen=True, slots=True)
class NewKey:
    key: ApiKey
    secret: str
    writes: list[Write]


def check_own_portal(caller: Caller) -> None:
    """An API key speaks for the own portal of its user, wherever that user is right now.

    Raises:
        OwnPortalOnly: the caller is in another one.
    """
    if caller.entered:
        raise OwnPortalOnly


def make(user: User, name: str, at: datetime) -> NewKey:
    """One more API key of a user; its secret is known now and never again.

    Raises:
        TooManyApiKeys: the user has as many as anybody may.
    """
    own = [each for each in list_api_keys(Scope(user.node), user.node) if each.user_id == user.user_id]
    if len(own) >= MOST_KEYS:
        raise TooManyApiKeys
    client_id, secret = ids.new("cid", at), tokens.CLIENT_SECRET + ids.secret()
    key = ApiKey(
        keys.node(user.node),
        keys.api_key(client_id),
        client_id=client_id,
        user_id=user.user_id,
        name=name,
        created_at=at,
    )
    client = ApiClient(
        *keys.client(client_id),
        client_id=client_id,
        user_path=str(user.node),
        user_id=user.user_id,
        secret_hash=tokens.hashed(secret),
        created_at=at,
    )
    # The user is written as it was, so that of two keys made at once one is counted after the other.
    return NewKey(key, secret, [Put(key), Put(client), Update(user, Change())])
