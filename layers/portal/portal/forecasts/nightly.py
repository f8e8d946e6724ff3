"""The forecast of a large distributor's next bill: made every night behind the usage snapshot, shown for a day.

To rate every account takes longer than anybody waits for an answer. The forecast is written in parts of 100 accounts,
each once a day; what is shown is changed when the last part is there, so nobody sees half of one. Its accounts stand by
themselves, so a user who may access some of them is shown what those come to. They stand without their names: a name is
the account's own and goes with it.

An account of a part is `{"account_id", "partner_id", "expected"}`, where `expected` is `[{"method", "low", "high",
"lines"}, ...]` in minor units with the lines as bills store them, or None where a service it uses has no price.
"""

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from portal import keys
from portal.accounts.records import find_accounts_at, list_directory
from portal.billing import outlook, prices
from portal.billing.forecast import Forecast
from portal.billing.lines import restored_line, stored_line
from portal.billing.outlook import NextBill
from portal.change import Change
from portal.distributors.records import get_distributor
from portal.errors import Conflict
from portal.forecasts import records
from portal.forecasts.records import ForecastPart, StoredForecast
from portal.money import Money
from portal.periods import Period, period_containing
from portal.scope import EVERYTHING, Scope
from portal.table import Contended, Delete, Put, Update, erase, settled
from portal.tree import Node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portal.billing.rating import PriceBook
    from portal.consumer import Work
    from portal.distributors.records import Distributor

MOST_AT_ONCE = 1_000
"""Of so many accounts the forecast is made when it is asked for."""
_ACCOUNTS_IN_A_PART = 100
_MOST_NAMED = 2_000


class _MadeMeanwhile(Conflict, Contended):
    """Another copy of the job has written this: go on behind it."""


def is_large(scope: Scope, distributor: Node) -> bool:
    """Whether the scope covers more accounts of a distributor than are forecast at once."""
    covered = (entry for entry in list_directory(scope, distributor) if scope.covers(entry.account_node))
    return len(list(islice(covered, MOST_AT_ONCE + 1))) > MOST_AT_ONCE


def is_wanted(distributor: Node) -> bool:
    """Whether there is anything to be done for a distributor by night: a forecast to be made, or one to be deleted."""
    return is_large(EVERYTHING, distributor) or records.find_forecast(EVERYTHING, distributor) is not None


def make(work: "Work", distributor: Node, as_of: datetime) -> bool:
    """Go on with the forecast as of an instant; False when time ran short before the end. One that is later than what is
    there already is made once a day; of a distributor that is no longer large it is deleted."""
    on = as_of.astimezone(UTC).date()
    stored = records.find_forecast(EVERYTHING, distributor)
    if not is_large(EVERYTHING, distributor):
        if stored is not None:
            work.commit(Delete(stored))
        erase(keys.forecast_parts(distributor), records.list_parts_before(EVERYTHING, distributor, date.max))
        return True
    if stored is None or stored.as_of.date() < on:
        payer = get_distributor(EVERYTHING, distributor.distributor)
        books = prices.books(EVERYTHING, distributor)
        while settled(lambda: _add_part(work, payer, books, as_of)):
            if work.time_is_short:
                return False
        settled(lambda: _show(work, payer, as_of))
    latest = records.find_forecast(EVERYTHING, distributor)
    if latest is not None:
        outdated = records.list_parts_before(EVERYTHING, distributor, latest.as_of.date())
        erase(keys.forecast_parts(distributor), outdated)
    return True


def load(scope: Scope, distributor: "Distributor") -> NextBill | None:
    """The forecast that was made last, of the accounts that the scope covers; None where there is none."""
    for _ in range(2):
        stored = records.find_forecast(scope, distributor.node)
        if stored is None:
            return None
        parts = list(records.list_parts(scope, distributor.node, stored.as_of.date()))
        # Once the next one is shown, the parts of this one are deleted.
        if len(parts) == stored.part_count:
            return _next_bill(scope, distributor, stored, parts)
    return None


def _add_part(
    work: "Work", distributor: "Distributor", books: "Sequence[PriceBook]", as_of: datetime
) -> bool:
    """Write the part that follows those that are there; False when no accounts are left for one."""
    on = as_of.astimezone(UTC).date()
    last = records.find_last_part(EVERYTHING, distributor.node, on)
    after = last.last_account_id if last else ""
    entries = list_directory(EVERYTHING, distributor.node, after, limit=_ACCOUNTS_IN_A_PART)
    nodes = [entry.account_node for entry in entries]
    if not nodes:
        return False
    accounts = find_accounts_at(EVERYTHING, nodes)
    in_order = {node: accounts[node] for node in nodes if node in accounts}
    part = ForecastPart(
        keys.forecast_parts(distributor.node),
        keys.forecast_part(on, last.number + 1 if last else 1),
        accounts=[
            _stored(node, expected)
            for node, expected in outlook.expected_of(EVERYTHING, distributor, in_order, books, as_of)
        ],
        last_account_id=nodes[-1].account,
    )
    work.commit(Put(part, taken=_MadeMeanwhile))
    return True


def _show(work: "Work", distributor: "Distributor", as_of: datetime) -> None:
    on = as_of.astimezone(UTC).date()
    last = records.find_last_part(EVERYTHING, distributor.node, on)
    period = period_containing(int(distributor.payment_day), on)
    values = Change(
        as_of=as_of,
        period_start_on=period.start,
        period_end_on=period.end,
        part_count=last.number if last else 0,
    )
    shown = records.find_forecast(EVERYTHING, distributor.node)
    if shown is None:
        new = StoredForecast(keys.node(distributor.node), keys.FORECAST, **values)
        work.commit(Put(new, taken=_MadeMeanwhile))
    elif shown.as_of.date() < on:
        work.commit(Update(shown, values))


def _next_bill(
    scope: Scope, distributor: "Distributor", stored: StoredForecast, parts: list[ForecastPart]
) -> NextBill:
    sums = outlook.Sums()
    for part in parts:
        for account in part.accounts:
            node = Node(distributor.node.distributor, account["partner_id"], account["account_id"])
            if scope.covers(node):
                sums.add(node, _expected(node, account["expected"], distributor.currency))
    if len(sums.lines) <= _MOST_NAMED:
        nodes = {Node(distributor.node.distributor, line.partner_id, line.account_id) for line in sums.lines}
        names = {node.account: each.name for node, each in find_accounts_at(scope, nodes).items()}
        sums.lines = [replace(line, account_name=names.get(line.account_id, "")) for line in sums.lines]
    period = Period(stored.period_start_on, stored.period_end_on)
    return outlook.summed(distributor, period, sums, stored.as_of)


def _stored(node: Node, expected: list[Forecast] | None) -> dict[str, Any]:
    return {
        "account_id": node.account,
        "partner_id": node.partner,
        "expected": expected
        and [
            {
                "method": each.method,
                "low": each.low.minor,
                "high": each.high.minor,
                "lines": [stored_line(line) for line in each.lines],
            }
            for each in expected
        ],
    }


def _expected(node: Node, stored: list[dict[str, Any]] | None, currency: str) -> list[Forecast] | None:
    if stored is None:
        return None
    unnamed = {"partner_id": node.partner, "name": "", "email": ""}
    return [
        Forecast(
            each["method"],
            Money(sum(line["amount"] for line in each["lines"]), currency),
            Money(each["low"], currency),
            Money(each["high"], currency),
            tuple(restored_line(line, unnamed) for line in each["lines"]),
        )
        for each in stored
    ]
