"""What the user who asked for a file may see of the portal now, while it is being written."""

from portal.access import scope_at_home
from portal.identity.records import User, find_user
from portal.identity.rules import permissions_in
from portal.scope import Scope
from portal.streamed_files.records import StreamedFile
from portal.tree import Node


def find_scope(file: StreamedFile) -> tuple[User, Scope] | None:
    """The requester and its scope, or None when it may no longer ask for such files of this portal."""
    home = Node.parse(file.requested_from)
    user = find_user(home, file.requested_by)
    if user is None or user.state != "active":
        return None
    if file.permission not in permissions_in(user, home, file.node):
        return None
    at_home = scope_at_home(home, user.user_id, limited=user.limited)
    if not at_home.covers(file.node):
        return None
    return user, at_home if home == file.node else Scope(file.node)
