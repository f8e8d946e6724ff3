"""Every operation that changes something, when any one of its calls to AWS fails: what it does is done whole or not at all,
and whoever asks again, a minute or 25 hours later, finds it done once.
"""

from collections.abc import Iterator
from itertools import groupby

import pytest
from argon2 import PasswordHasher

from local.document import Operation
from local.document import operations as declared_operations
from portal.identity import passwords
from portal.operation import SecretAnswer
from tests.examples import Scene, request_of
from tests.principals import ADMINISTRATOR, Neighbourhood, administrators, neighbourhood, password_hash
from tests.remains import neutral
from tests.support import Harness
from tests.sweeps import sweep
from tests.world import World

LEFT_OUT = {
    "payments.take_provider_event": "its example is forged; test_charging_faults.py strikes one that is not",
    "payments.open_payment_page": "a page that was begun a day ago and never opened makes way for a second; its own "
    "tests strike it",
    "meta.refuse_unknown": "it only ever refuses",
    "engine.report_events": "its example is refused; test_usage_faults.py sweeps events that are not",
}
IN_PIECES = {
    "subscriptions.subscribe_accounts": "each account is subscribed for itself",
}
"""Operations of more than one transaction: some of it may be done and some not, until somebody asks again."""


def _name(operation: Operation) -> str:
    return f"{operation.domain}.{operation.name}"


CHANGING = sorted(
    (each for each in declared_operations() if each.method != "GET" and _name(each) not in LEFT_OUT),
    key=_name,
)
DOMAINS = {domain: list(found) for domain, found in groupby(CHANGING, lambda each: each.domain)}


def swept(home: Neighbourhood, operation: Operation) -> int:
    declaration = operation.declaration
    who = home.administrator((declaration.portals or tuple(ADMINISTRATOR))[0])
    caller = None if declaration.open_because else home.world.identify(who.token)
    asked = request_of(Scene(home, who), operation)
    whole = _name(operation) not in IN_PIECES
    if whole:
        asked["headers"] |= {"Idempotency-Key": "once"}

    def ask() -> str:
        answer = home.world.call(_name(operation), caller, **asked)
        return f"{answer.status} {neutral(answer.text)}" if whole else ""

    return sweep(home.harness, home.world, ask, whole=whole, once=whole and remembers(operation))


def remembers(operation: Operation) -> bool:
    """Whether an Idempotency-Key brings the first answer again."""
    declaration = operation.declaration
    secret = declaration.answer is not None and issubclass(declaration.answer, SecretAnswer)
    return operation.method == "POST" and not declaration.open_because and not secret


@pytest.fixture
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Passwords hashed with next to no work, those of the neighbourhood too."""
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    password_hash.cache_clear()
    yield
    password_hash.cache_clear()


@pytest.mark.usefixtures("quick_hashes")
@pytest.mark.money
@pytest.mark.parametrize("domain", DOMAINS)
def test_operations(world: World, harness: Harness, domain: str) -> None:
    home = neighbourhood(world, harness)
    administrators(home)
    start = harness.snapshot()
    for operation in DOMAINS[domain]:
        runs = swept(home, operation)
        print(_name(operation), runs)
        assert runs >= 6, operation.name
        harness.restore(start)
