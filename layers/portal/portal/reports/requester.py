"""What the user who asked for a report may see of the portal now, while it is being written."""

from portal.access import scope_at_home
from portal.identity.records import User, find_user
from portal.identity.rules import permissions_in
from portal.permissions import Permission
from portal.reports.records import Report
from portal.scope import Scope
from portal.tree import Node


def find_scope(report: Report) -> tuple[User, Scope] | None:
    """The requester and its scope, or None when it may no longer export reports of this portal."""
    home = Node.parse(report.requested_from)
    user = find_user(home, report.requested_by)
    if user is None or user.state != "active":
        return None
    if Permission.REPORTS_EXPORT not in permissions_in(user, home, report.node):
        return None
    at_home = scope_at_home(home, user.user_id, limited=user.limited)
    if not at_home.covers(report.node):
        return None
    return user, at_home if home == report.node else Scope(report.node)
