"""What a removed user signed in with goes: nobody can use it any more, and nobody should keep it."""

from collections.abc import Iterator

from portal.consumer import Work
from portal.identity import records
from portal.scope import EVERYTHING
from portal.table import Delete, Item
from portal.tree import Node


def forget(work: Work, home: Node, user_id: str) -> bool:
    """Delete a removed user's credentials, sessions and API keys. It can be broken off and begun again anywhere.
    Sessions of API keys, which nothing lists, are over with the key, and expire.

    False when time ran out before everything was gone.
    """
    if records.find_user(home, user_id) is not None:
        return True
    for record in _left(home, user_id):
        work.commit(Delete(record))
        if work.time_is_short:
            return False
    return True


def _left(home: Node, user_id: str) -> Iterator[Item]:
    """What finds the others comes after them."""
    for key in records.list_api_keys(EVERYTHING, home):
        if key.user_id == user_id:
            yield from filter(None, (records.find_api_client(key.client_id),))
            yield key
    for listed in records.list_sessions_of(user_id):
        yield from filter(None, (records.find_session(listed.session_id),))
        yield listed
    credentials = records.find_credentials(user_id)
    if credentials is not None and credentials.federated_hash:
        linked = records.find_federated(credentials.federated_hash)
        # Not one that has become another user's meanwhile.
        yield from (each for each in (linked,) if each is not None and each.user_id == user_id)
    yield from filter(None, (credentials,))
