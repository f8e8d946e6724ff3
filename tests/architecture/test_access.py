"""Who may do what, to what: every operation x every kind of principal, generated from the declarations.

Nobody is pretended: each principal shows a real token to the authorizer, and the operation believes what that finds. What
has to come out follows from what the operation declares of itself and from where the principal stands in the tree; the
operations' own tests know the finer points, this table knows all operations.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from local.document import Operation
from local.document import operations as declared_operations
from portal.permissions import HELD_ON, Permission
from portal.tree import Tier
from tests.examples import Scene, ask, example_of
from tests.principals import ADMINISTRATOR, Neighbourhood, Principal, everybody, neighbourhood
from tests.support import Harness
from tests.support.actions import OPERATIONS as TABLE_OPERATIONS
from tests.support.actions import WRITES, Action, actions_of
from tests.support.faults import Call
from tests.world import Answer, World

OPERATIONS = declared_operations()
PRINCIPALS = 29
"""So many meet every operation: the sixteen kinds, those who are somewhere in every tier that has such people."""

ALLOWED = "allowed"

OF_MONEY = {
    "amount", "amount_due", "billing_method", "billing_status", "currency", "discount", "last_paid", "minor",
    "next_payment", "next_payment_forecast", "owed", "paid", "payments", "price", "prices", "tax", "total_minor",
    "unit_price",
}  # fmt: skip
"""Fields that partners and customers never see, wherever in an answer they stand."""

OF_SECRETS = {
    "password", "password_hash", "secret_hash", "totp_secret", "totp_begun", "recovery_hashes", "link_hash",
    "reset_hash", "refresh_hash", "tag_key", "federated_hash",
}  # fmt: skip
"""Fields that nobody ever sees."""


def expected(operation: Operation, who: Principal) -> str:
    """What an answer to this principal has to be, from the declaration and the tree alone."""
    declaration, example = operation.declaration, example_of(operation)
    best = f"{example.answers[0]} {example.answers[1]}" if example.answers else ALLOWED
    if declaration.open_because:
        away = example.elsewhere if who.refusal == "access_denied" else None
        return f"{away[0]} {away[1]}" if away else best
    if who.refusal:
        return f"{403 if who.refusal == 'access_denied' else 401} {who.refusal}"
    asked = declaration.permission
    held = who.permissions if who.is_engine else who.permissions & HELD_ON[who.tier]
    if asked and asked not in held:
        return "403 not_permitted"
    if declaration.people_only and who.api_key:
        return "403 people_only"
    if asked is Permission.ENGINE_REPORT:
        return best
    if who.is_engine or who.tier not in declaration.portals:
        return "403 not_permitted"
    if who.stranger and operation.parameters:
        return "404 not_found"
    if who.limited and {"partner_id", "account_id", "reference"} & set(operation.parameters):
        return "404 not_found"
    return best


def told(answer: Answer) -> str:
    """The same of the answer that was given."""
    if answer.status < 400:
        return ALLOWED
    is_problem = answer.headers.get("Content-Type") == "application/problem+json"
    return f"{answer.status} {answer.code if is_problem else answer.json['error']}"


@dataclass(frozen=True)
class Cell:
    """What came of one principal's request."""

    operation: Operation
    who: Principal
    answer: Answer
    transactions: list[list[Action]]
    """What was written, transaction by transaction."""

    @property
    def allowed(self) -> bool:
        return self.answer.status < 400

    @property
    def audited(self) -> bool:
        """Whether an audit entry was written together with something else."""
        return any(
            {"AUDIT"} < {_sort_key(action).partition("#")[0] for action in transaction}
            for transaction in self.transactions
        )

    def faults(self) -> Iterator[str]:
        wanted, came = expected(self.operation, self.who), told(self.answer)
        if came != wanted:
            yield f"{came} instead of {wanted}: {self.answer.text[:300]}"
        if not self.allowed and not self.operation.declaration.open_because and self.transactions:
            yield f"refused, but wrote {[_sort_key(action) for action in self.transactions[0]]}"
        if self.answer.status == 401 and self.answer.headers.get("WWW-Authenticate") != "Bearer":
            yield "401 without WWW-Authenticate"
        shows_json = self.answer.headers.get("Content-Type") == "application/json"
        if not self.allowed or not shows_json or self.operation.declaration.open_because:
            return
        shown = set(_fields(self.answer.json))
        if self.who.tier in (Tier.PARTNER, Tier.ACCOUNT) and shown & OF_MONEY:
            yield f"shows {sorted(shown & OF_MONEY)}"
        if shown & OF_SECRETS:
            yield f"shows {sorted(shown & OF_SECRETS)}"


def _sort_key(action: Action) -> str:
    return str(action.attributes["sk"]["S"])


def _fields(thing: Any) -> Iterator[str]:
    """The names of all fields in an answer, however deep."""
    if isinstance(thing, dict):
        yield from thing
        for value in thing.values():
            yield from _fields(value)
    elif isinstance(thing, list):
        for each in thing:
            yield from _fields(each)


def _written(calls: Iterable[Call]) -> Iterator[list[Action]]:
    for call in calls:
        if call.service == "dynamodb" and call.operation in TABLE_OPERATIONS:
            actions = actions_of(call.operation, call.parameters)
            if actions := [action for action in actions if action.kind in WRITES]:
                yield actions


def _note(harness: Harness, prepared: list[int]) -> None:
    prepared.append(len(harness.calls))


BESIDES = {"access_account": {Permission.ACCOUNT_TASKS_MANAGE}}
"""What it takes besides an operation's own permission: nobody gets into an account who may do nothing there."""


def asked(home: Neighbourhood, operation: Operation) -> Iterator[Cell]:
    """Every principal's request, each in the same world: what one does is undone before the next comes."""
    harness = home.harness
    everybody(home, operation.declaration.permission, BESIDES.get(operation.name, ()))
    start = harness.snapshot()
    for who in home.people:
        first, prepared = len(harness.calls), list[int]()
        begin = partial(_note, harness, prepared)
        answer = ask(Scene(home, who), operation, begin=begin)
        yield Cell(operation, who, answer, list(_written(harness.calls[prepared[-1] :])))
        if any(_written(harness.calls[first:])):
            harness.restore(start)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_everybody_gets_what_the_declaration_says(
    world: World, harness: Harness, operation: Operation
) -> None:
    cells = list(asked(neighbourhood(world, harness), operation))
    assert len(cells) == PRINCIPALS
    faults: dict[str, list[str]] = {}
    for cell in cells:
        for fault in cell.faults():
            faults.setdefault(fault, []).append(str(cell.who))
    table = [f"{', '.join(who)}:\n    {fault}" for fault, who in faults.items()]
    assert not table, "\n".join([operation.declaration.route, *table])
    succeeded = [cell for cell in cells if cell.allowed]
    if not example_of(operation).answers:
        assert succeeded, "nobody at all may do this"
    if operation.method != "GET" and not example_of(operation).silent_because:
        those = [cell for cell in succeeded if str(cell.who) in ADMINISTRATOR.values()]
        silent = [str(cell.who) for cell in those if not cell.audited]
        assert not silent, (
            f"no audit entry in the transaction of {operation.name} by {silent}: write one, or say in "
            "tests/examples.py why there is none (silent_because)"
        )
