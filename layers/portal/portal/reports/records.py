"""Usage reports that were asked for."""

from collections.abc import Iterator

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from portal import keys
from portal.errors import NotFound
from portal.scope import Scope
from portal.table import InstantAttribute, Item, JsonAttribute, find, query


class Report(Item, discriminator="report"):
    """A usage report of a portal. `state` is `waiting`, `running`, `ready` or `failed`."""

    report_id = UnicodeAttribute()
    state = UnicodeAttribute()
    requested_by = UnicodeAttribute()
    """User id; only whoever asked, with the accounts it may see, gets the report."""
    requested_by_email = UnicodeAttribute()
    accounts = JsonAttribute()
    """The chosen accounts' paths, or None where they fill parts of their own."""
    delivery = UnicodeAttribute()
    """`attachment` or `link`."""
    progress = JsonAttribute(null=True)
    """Where the writer is: upload id, parts, next account and entity."""
    rows = NumberAttribute(default=0)
    size_bytes = NumberAttribute(default=0)
    file_key = UnicodeAttribute(null=True)
    finished_at = InstantAttribute(null=True)


def get_report(scope: Scope, report_id: str) -> Report:
    found = find(Report, keys.node(scope.top), keys.report(report_id))
    if found is None:
        raise NotFound
    return found


def list_reports(scope: Scope) -> Iterator[Report]:
    """The reports of the portal, latest first."""
    return query(Report, keys.node(scope.top), keys.report(), newest_first=True)
