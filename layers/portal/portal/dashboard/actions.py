"""Keeping the sums over a partner's accounts, from the table's stream, and making them anew.

A change in the stream only says which account to look at. What an account adds is taken from the account as
it is now, and written together with the difference to what was added before; so repeated, late and reordered
changes do no harm.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from portal import keys
from portal.accounts.records import find_accounts_at, list_directory
from portal.change import Change
from portal.dashboard import records, rules
from portal.errors import Conflict
from portal.scope import EVERYTHING
from portal.table import Check, Contended, Delete, Put, Update, Write, settled
from portal.tree import Node

if TYPE_CHECKING:
    from portal.consumer import Work

_ACCOUNTS_AT_ONCE = 45
"""In one transaction: each takes up to two of its hundred writes."""
_PATIENCE = 10
"""How often one is outrun by others who add to the same sums before giving up."""


class _AddedByAnother(Conflict):
    detail = "Somebody else has just begun these sums."


def roll_up(work: "Work", accounts: Iterable[Node]) -> None:
    """Bring the sums in line with these accounts as they are now."""
    for partner, nodes in _by_partner(accounts).items():
        for first in range(0, len(nodes), _ACCOUNTS_AT_ONCE):
            some = nodes[first : first + _ACCOUNTS_AT_ONCE]
            settled(partial(_roll_up, work, partner, some), times=_PATIENCE)


def _roll_up(work: "Work", partner: Node, nodes: Sequence[Node]) -> None:
    # First what was added, then the accounts: what is written over a later roll-up's back then conflicts with
    # it, and what is not conflicting has read the accounts later.
    rollup = records.find_rollup(EVERYTHING, partner)
    added = records.find_rolled_up(EVERYTHING, nodes)
    accounts = find_accounts_at(EVERYTHING, nodes)
    writes: list[Write] = []
    before, after = rules.NOTHING, rules.NOTHING
    for node in nodes:
        account, known = accounts.get(node), added.get(node)
        adds = rules.contribution(account)
        adds_so_far = known.contribution if known else {}
        if adds == adds_so_far:
            continue
        before, after = rules.add(before, adds_so_far), rules.add(after, adds)
        if known is None and account is not None:
            # Nothing else would notice if the account were removed and purged in between.
            writes += [Check(account), Put(records.new_rolled_up(node, adds), taken=_AddedByAnother)]
        elif known is not None:
            writes.append(Update(known, Change(contribution=adds)) if adds else Delete(known))
    if writes:
        _commit(work, *writes, *_summed(rollup, partner, before, after))


def _summed(
    rollup: records.RollUp | None, partner: Node, before: rules.Contribution, after: rules.Contribution
) -> list[Write]:
    if rollup is None:
        # None was made yet, or the partner was removed with it: then there is nothing to take away from.
        return [Put(_filled(records.new_rollup(partner), after), taken=_AddedByAnother)] if after else []
    return [Update(rollup, _sums(rules.add(rules.subtract(rollup.sums, before), after)))]


def _filled(rollup: records.RollUp, sums: rules.Contribution) -> records.RollUp:
    for name, value in _sums(sums).items():
        setattr(rollup, name, value)
    return rollup


def _sums(sums: rules.Contribution) -> Change:
    counts = {name: number for name, number in sums.items() if name != "size_bytes"}
    return Change(counts=counts, size_bytes=sums.get("size_bytes", 0))


# Anew


@dataclass(frozen=True, slots=True)
class Census:
    """The accounts of a partner, and the sums as they were before these were looked up."""

    rollup: records.RollUp | None
    accounts: list[Node]


def take_census(distributor: Node) -> dict[Node, Census]:
    """Of every partner of a distributor with accounts or sums, direct accounts included, in a fixed order."""
    with_sums = [rollup.node for rollup in records.list_rollups(EVERYTHING, distributor)]
    rollups = records.find_rollups(EVERYTHING, with_sums)
    accounts = _by_partner(entry.account_node for entry in list_directory(EVERYTHING, distributor))
    partners = sorted({*with_sums, *accounts}, key=keys.node)
    return {partner: Census(rollups.get(partner), accounts.get(partner, [])) for partner in partners}


def rebuild(work: "Work", partner: Node, census: Census) -> None:
    """Make a partner's sums anew from its accounts, also while accounts change."""
    roll_up(work, census.accounts)
    try:
        _recount(work, partner, census)
    except Contended:
        settled(lambda: _recount(work, partner, _fresh_census(partner)), times=_PATIENCE)


def _fresh_census(partner: Node) -> Census:
    rollup = records.find_rollup(EVERYTHING, partner)
    directory = list_directory(EVERYTHING, partner.distributor_node)
    return Census(rollup, [entry.account_node for entry in directory if entry.partner_id == partner.partner])


def _recount(work: "Work", partner: Node, census: Census) -> None:
    # The census holds the sums of before: where somebody has added to them since, neither they nor the census
    # count.
    added = records.find_rolled_up(EVERYTHING, census.accounts)
    sums = rules.total(each.contribution for each in added.values())
    if census.rollup is None and sums:
        _commit(work, Put(_filled(records.new_rollup(partner), sums), taken=_AddedByAnother))
    elif census.rollup is not None and census.rollup.sums != sums:
        work.commit(Update(census.rollup, _sums(sums)))
    elif _version(records.find_rollup(EVERYTHING, partner)) != _version(census.rollup):
        raise Contended


def _version(rollup: records.RollUp | None) -> float | None:
    return rollup.version if rollup else None


def _commit(work: "Work", *writes: Write) -> None:
    try:
        work.commit(*writes)
    except _AddedByAnother as error:
        raise Contended from error


def _by_partner(accounts: Iterable[Node]) -> dict[Node, list[Node]]:
    found: dict[Node, list[Node]] = defaultdict(list)
    for node in sorted(set(accounts), key=keys.node):
        found[node.parent].append(node)
    return found
