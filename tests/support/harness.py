"""The harness: AWS in this process, with DynamoDB's refusals, tenant isolation, faults and races under
control.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import requests
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.moto_api._internal import mock_random
from requests.adapters import HTTPAdapter

from . import hook, iam, network
from .actions import OPERATIONS, REFUSED
from .backend import all_images
from .clock import FakeClock, RandomState, SeededBytes
from .dynamo import Dynamo
from .errors import Crash, FaultMisused, NetworkRefused, NotAuthorised, OperationRefused, Violation
from .faults import Call, Fault, Match, Plan, strike, strike_http, unwinding
from .hook import LOCK
from .measure import Counts
from .quicken import quickened
from .rules import HouseRules
from .scheduler import Outcome, Scheduler, attempt, run_free
from .snapshots import Snapshot

EVERY_CRASH = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.TIMEOUT_AFTER)

Seed = int | None | Literal["harness"]


class Restorable(Protocol):
    """Something whose state is rewound together with the backends."""

    def snapshot(self) -> Any: ...

    def restore(self, state: Any) -> None: ...


@dataclass(frozen=True)
class State:
    """What `snapshot` remembers."""

    backends: Snapshot
    things: list[tuple[Restorable, Any]]
    tokens: Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """One run of a swept action: its `number`-th call was struck with `kind`, and this is how it ended."""

    number: int
    kind: Fault
    call: Call
    outcome: Outcome

    def __str__(self) -> str:
        return f"{self.kind.name} at {self.call}"


class Harness:
    """On from `with` to its end; `verify` (the fixture calls it) fails if a rule of the house was broken
    meanwhile.

    `measuring=False` spares the capacity counts in long loops. `cross_tenant_indexes` may be written from
    within any subtree, never read.
    """

    def __init__(
        self, *, seed: int = 0, measuring: bool = True, cross_tenant_indexes: Iterable[str] = ("by_due",)
    ) -> None:
        self.seed = seed
        self.clock = FakeClock()
        self.ids = SeededBytes(seed)
        self.calls: list[Call] = []
        """Every call so far, in order."""
        self.counts = Counts()
        self.net = network.Network()
        self.naps: list[float] = []
        """Seconds for which `time.sleep` was called: nobody sleeps, but in a race the turn may go to another.
        """
        self.last_run: Run | None = None
        self._rules = HouseRules(cross_tenant_indexes)
        self._measuring = measuring
        self._dynamo = Dynamo(self._rules, self.counts, self.clock, measuring=measuring, perform=hook.perform)
        self._plans: list[Plan] = []
        self._kept: list[Restorable] = [self.clock, self.ids, RandomState(mock_random)]
        self._scheduler: Scheduler | None = None
        self._number = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(hook.environment())
            stack.enter_context(mock_aws())
            stack.enter_context(hook.hooked(self))
            stack.enter_context(quickened(self.clock, self._dynamo.weigh if self._measuring else None))
            mock_random.seed(self.seed)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    # Rules of the house

    @property
    def violations(self) -> list[Violation]:
        """Rules broken so far, swallowed or not."""
        return self._rules.violations

    def within(
        self, prefix: str, also: Iterable[str] = (), exactly: Iterable[str] = ()
    ) -> AbstractContextManager[None]:
        """Confine the caller: touching a partition that begins with none of these prefixes is
        `OutsideSubtree`.
        """
        return self._rules.within(prefix, also, exactly)

    def expecting(self, kind: type[Violation]) -> AbstractContextManager[list[Violation]]:
        """Demand that the block breaks this rule, and forgive it."""
        return self._rules.expecting(kind)

    def verify(self) -> None:
        """Fail if a rule was broken, even where that was swallowed, or if an armed fault never happened."""
        self._rules.verify()
        if idle := [plan for plan in self._plans if not plan.struck]:
            raise FaultMisused(
                f"never happened: {', '.join(f'{plan.kind.name} at {plan.at}' for plan in idle)}"
            )

    # Faults

    def fail(
        self,
        at: int = 1,
        kind: Fault = Fault.CRASH_AFTER,
        match: Match | None = None,
        *,
        times: int | None = 1,
        window: int = 10,
    ) -> Plan:
        """Arm a fault for the `at`-th call from now that matches and the `times - 1` matching ones after it.

        `times=None` is for good. `window` is for stale reads: writes of so many last calls are not seen.
        """
        plan = Plan(kind, at, match, times, window)
        self._plans.append(plan)
        return plan

    def clear_faults(self) -> None:
        self._plans.clear()

    def sweep(
        self, action: Callable[[], Any], kinds: Sequence[Fault] = EVERY_CRASH, match: Match | None = None
    ) -> Iterator[Run]:
        """Run the action once for each of its calls and each kind that fits, from the same state, striking
        that call.

        The body of the loop recovers and checks; it may sweep again for double faults. Backends, clock, ids
        and fakes are rewound before each run and after the last. Fails if a crash is survived, if a rule is
        broken, or if the action does not make the same calls from the same state.
        """
        start = self.snapshot()
        targets = list(enumerate(self._rehearse(action, match), 1))
        strikes = [
            (number, target, kind) for number, target in targets for kind in kinds if kind.fits(target)
        ]
        if not strikes:
            raise FaultMisused(f"nothing to strike among {len(targets)} calls")
        for number, target, kind in strikes:
            self.restore(start)
            self.last_run = self._run_struck(action, number, kind, target, match)
            yield self.last_run
        self.restore(start)

    def _rehearse(self, action: Callable[[], Any], match: Match | None) -> list[Call]:
        first = len(self.calls)
        outcome = attempt(action)
        if isinstance(outcome.error, (AssertionError, Crash)):
            raise outcome.error
        return [call for call in self.calls[first:] if match is None or match(call)]

    def _run_struck(
        self, action: Callable[[], Any], number: int, kind: Fault, target: Call, match: Match | None
    ) -> Run:
        plan = self.fail(number, kind, match)
        first = len(self.calls)
        outcome = attempt(action)
        self._plans.remove(plan)
        if isinstance(outcome.error, AssertionError):
            raise outcome.error
        struck = next((call for call in self.calls[first:] if call.fault is kind), None)
        if struck is None or not struck.is_like(target):
            hint = "are time and ids the harness's?"
            raise FaultMisused(
                f"not the same calls from the same state ({hint}): {struck} instead of {target}"
            )
        if kind in (Fault.CRASH_BEFORE, Fault.CRASH_AFTER) and not isinstance(outcome.error, Crash):
            raise AssertionError(f"a crash was survived: {kind.name} at {struck}")
        return Run(number, kind, struck, outcome)

    # Races

    def run_at_once(self, n: int, function: Callable[[], Any], *, seed: Seed = "harness") -> list[Outcome]:
        """Race `n` copies; see `run_together`."""
        return self.run_together([function] * n, seed=seed)

    def run_together(
        self, functions: Sequence[Callable[[], Any]], *, seed: Seed = "harness"
    ) -> list[Outcome]:
        """Run all in threads and answer how each ended, in order.

        They take turns at every call to AWS and over HTTP, in an order that the seed decides (by default the
        harness's own); with `seed=None` they run freely from a barrier.
        """
        if seed is None:
            return run_free(functions)
        if self._scheduler is not None:
            raise RuntimeError("a race within a race")
        self._scheduler = Scheduler(functions, self.seed if seed == "harness" else seed)
        try:
            return self._scheduler.run()
        finally:
            self._scheduler = None

    def rounds(
        self, n: int, function: Callable[[], Any], seeds: Iterable[int] = range(20)
    ) -> Iterator[tuple[int, list[Outcome]]]:
        """Race `n` copies from the same state once for each seed; answers seed and outcomes, and rewinds in
        between.
        """
        start = self.snapshot()
        for seed in seeds:
            yield seed, self.run_at_once(n, function, seed=seed)
            self.restore(start)

    # State

    def keep(self, thing: Restorable) -> None:
        """Rewind this too (a fake, a local queue)."""
        self._kept.append(thing)

    def snapshot(self) -> State:
        """Remember every moto backend, clock, ids, fakes and replay tokens. Cheap: items are not copied."""
        with LOCK:
            return State(
                Snapshot(), [(thing, thing.snapshot()) for thing in self._kept], dict(self._dynamo.tokens)
            )

    def restore(self, state: State) -> None:
        """Go back, any number of times. Armed faults are cleared; calls, counts and violations stay."""
        with LOCK:
            state.backends.restore()
            for thing, remembered in state.things:
                thing.restore(remembered)
            self._dynamo.tokens = dict(state.tokens)
            self._dynamo.forget_writes()
            self.clear_faults()

    def items(self, region: str = hook.REGION) -> dict[str, list[dict[str, Any]]]:
        """Every item by table, as plain attribute values in key order: to compare two states."""
        with LOCK:
            return all_images(region)

    # HTTP

    def serve(self, host: str, fake: Callable[[requests.PreparedRequest], network.Answer]) -> None:
        """Let a fake answer for a host. One with `snapshot` and `restore` is rewound with everything else."""
        self.net.fakes[host.lower()] = fake
        if hasattr(fake, "snapshot") and hasattr(fake, "restore"):
            self.keep(fake)

    # What the hook calls

    def on_api_call(self, client: BaseClient, operation: str, parameters: Mapping[str, Any]) -> Any:
        self._take_turn()
        with LOCK:
            call = self._begin(
                client.meta.service_model.service_name, operation, parameters, _texts(parameters)
            )
            try:
                if call.service == "dynamodb" and operation in REFUSED:
                    raise self._rules.broken(OperationRefused(f"{operation} is never used here"))
                if (
                    call.service == "dynamodb"
                    and operation in OPERATIONS
                    and self._dynamo.examine(client, call)
                ):
                    self._authorise(call)
                    return self._struck_dynamo(client, call)
                self._authorise(call)
                return self._struck_other(client, call)
            except BaseException as error:
                call.error = type(error).__name__
                raise

    def _authorise(self, call: Call) -> None:
        if refused := iam.objection(call):
            raise self._rules.broken(NotAuthorised(refused))

    def _struck_dynamo(self, client: BaseClient, call: Call) -> Any:
        def run(parameters: Mapping[str, Any]) -> Any:
            return self._dynamo.carry_out(client, call, parameters)

        plan = self._plan_for(call)
        if plan is None:
            return run(call.parameters)
        if plan.kind is Fault.STALE_READ:
            with self._dynamo.before_recent_writes(call, plan.window):
                return run(call.parameters)
        return strike(plan.kind, call, client, run)

    def _struck_other(self, client: BaseClient, call: Call) -> Any:
        if call.name == "sqs.ReceiveMessage":
            # A long poll would hold the lock and wait for real time to pass.
            call.parameters = {**call.parameters, "WaitTimeSeconds": 0}

        def run(parameters: Mapping[str, Any]) -> Any:
            try:
                return hook.perform(client, call.operation, parameters)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404 and (
                    refused := iam.objection_to_telling(call)
                ):
                    raise self._rules.broken(NotAuthorised(refused)) from error
                raise

        plan = self._plan_for(call)
        return run(call.parameters) if plan is None else strike(plan.kind, call, client, run)

    def on_presign(self, service: str, operation: str, parameters: Mapping[str, Any]) -> None:
        """An address that is signed in advance is no call; whoever opens it has the signer's permissions."""
        self._authorise(Call(0, service, operation, parameters, _texts(parameters)))

    def on_send(
        self, adapter: HTTPAdapter, request: requests.PreparedRequest, real: Callable[[], requests.Response]
    ) -> requests.Response:
        self._take_turn()
        host = network.host_of(request)
        fake = self.net.fakes.get(host)
        with LOCK:
            if fake is None and host.endswith(".amazonaws.com"):
                # A presigned address: moto answers.
                return real()
            url = request.url or ""
            if self.net.is_local(url):
                return real()
            call = self._begin("http", request.method or "", {"url": url, "body": request.body}, url)
            if fake is None:
                raise self._rules.broken(
                    NetworkRefused(f"no fake answers for {host}: {request.method} {url}")
                )
            plan = self._plan_for(call)
            answer = strike_http(plan.kind if plan else None, call, request, fake)
            return network.respond(adapter, request, answer)

    def on_look_up(self, host: str, port: Any) -> list[tuple[Any, ...]]:
        found = self.net.look_up(host, port)
        if found is None:
            raise self._rules.broken(NetworkRefused(f"nobody told the harness what {host!r} resolves to"))
        return found

    def on_connect(self, address: Any) -> None:
        if tuple(address[:2]) in self.net.local:
            return
        raise self._rules.broken(NetworkRefused(f"a connection to {address}"))

    def on_sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self._take_turn()

    def _take_turn(self) -> None:
        if unwinding():
            raise Crash("a dead process makes no calls")
        if self._scheduler is not None:
            self._scheduler.turn()

    def _begin(self, service: str, operation: str, parameters: Mapping[str, Any], text: str) -> Call:
        self._number += 1
        scope = self._rules.scope
        call = Call(self._number, service, operation, parameters, text, scope=scope.prefix if scope else None)
        self.calls.append(call)
        self.counts.calls[call.name] += 1
        return call

    def _plan_for(self, call: Call) -> Plan | None:
        """The plan that strikes this call; all of them count it."""
        striking = [plan for plan in self._plans if plan.strikes(call)]
        if not striking:
            return None
        call.fault = striking[0].kind
        return striking[0]


def _texts(parameters: Mapping[str, Any]) -> str:
    """The plain texts among the parameters, for a person."""
    return " ".join(str(value) for value in parameters.values() if isinstance(value, (str, int)))[:120]
