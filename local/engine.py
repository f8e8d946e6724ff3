"""A simulated backup engine for the local cloud: python -m local.engine [--once]

Reads its commands from the queue and reports through POST /v1/engine/events, as the real one does, so that
activating a task leads to entities, runs and sizes. What it makes up depends on a seed and the task's id
only. It runs until it is interrupted; with `--once` it does what is waiting and what is due, and stops.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import requests

from local import clock, cloud

MOST_EVENTS = 100
MOST_ENTITIES = 45
_KINDS = {
    "microsoft_365_exchange": "mailbox",
    "microsoft_365_onedrive": "drive",
    "microsoft_365_sharepoint": "site",
    "google_workspace": "user",
    "salesforce": "organization",
    "box": "user",
    "dropbox": "user",
}
_FIRST_NAMES = (
    "Anna",
    "Boris",
    "Carla",
    "David",
    "Elena",
    "Frank",
    "Grace",
    "Hugo",
    "Irene",
    "Jonas",
    "Klara",
    "Liam",
)
_LAST_NAMES = (
    "Adler",
    "Brandt",
    "Costa",
    "Dupont",
    "Eriksen",
    "Fischer",
    "Garcia",
    "Huber",
    "Ivanov",
    "Jansen",
)
_EVERY = {"daily": timedelta(days=1), "high": timedelta(hours=6)}
_GONE = {"unknown_account", "unknown_task", "account_removed", "task_deleted"}

Event = dict[str, Any]


class Refused(Exception):
    """The portal did not take the whole call; everything can be sent again."""


class Answer(Protocol):
    @property
    def status_code(self) -> int: ...
    @property
    def text(self) -> str: ...
    def json(self) -> Any: ...


class Http(Protocol):
    """The part of `requests.Session` that the engine uses."""

    def post(self, url: str, *, json: Any, headers: Mapping[str, str], timeout: float) -> Answer: ...


@dataclass
class Task:
    """What the engine remembers of a task."""

    account_id: str
    revision: int
    state: str
    """`active`, `paused` or `deleted`."""
    service: str = ""
    frequency: str = "daily"
    chosen: list[str] | None = None
    """Ids of the entities to protect; None for all."""
    entity_ids: list[str] = field(default_factory=list)
    """Those it has told of."""
    runs: int = 0
    last_run_at: str = ""


@dataclass
class Memory:
    """The engine's tasks by id, kept in a file where one is named."""

    file: Path | None = None
    tasks: dict[str, Task] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path) -> "Memory":
        stored = json.loads(file.read_text()) if file.exists() else {}
        return cls(file, {task_id: Task(**task) for task_id, task in stored.items()})

    def keep(self) -> None:
        if self.file:
            stored = json.dumps({task_id: asdict(task) for task_id, task in self.tasks.items()})
            fresh = self.file.with_suffix(".new")
            fresh.write_text(stored)
            fresh.replace(self.file)


@dataclass
class Portal:
    """Where the engine reports to."""

    http: Http
    url: str
    """Of the API, without `/v1`."""
    token: str

    def report(self, events: list[Event]) -> dict[str, str]:
        """Send events; the codes of those that were refused, by event id.

        Raises:
            Refused: a call failed as a whole.
        """
        codes: dict[str, str] = {}
        for some in _parts(events, MOST_EVENTS):
            answer = self.http.post(
                f"{self.url}/v1/engine/events",
                json={"events": some},
                headers={"Authorization": f"Bearer {self.token}"},
                timeout=30,
            )
            if answer.status_code != 200:
                raise Refused(f"The portal answered {answer.status_code}: {answer.text[:200]}")
            results = answer.json()["results"]
            codes |= {each["event_id"]: each["code"] for each in results if each["result"] == "refused"}
        return codes


@dataclass
class Engine:
    queue: Any
    """A boto3 SQS client."""
    queue_url: str
    portal: Portal
    now: Callable[[], datetime]
    memory: Memory = field(default_factory=Memory)
    seed: int = 0

    def drain(self, *, wait_seconds: int = 0) -> int:
        """Carry out all commands that are waiting; returns how many.

        A command leaves the queue when the portal has taken what follows from it.
        """
        done = 0
        while messages := self._receive(wait_seconds):
            for message in messages:
                self.carry_out(json.loads(message["Body"]))
                self.queue.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
                done += 1
        return done

    def _receive(self, wait_seconds: int) -> list[Any]:
        received = self.queue.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_seconds
        )
        messages: list[Any] = received.get("Messages", [])
        return messages

    def carry_out(self, command: Mapping[str, Any]) -> None:
        """Do what a command says, unless a later one about the same task came first, and report."""
        if command["command"] == "account.purge":
            self._purge(command["account_id"])
        else:
            self._switch(command["task_id"], command)
        self.memory.keep()

    def back_up_what_is_due(self) -> int:
        """Run every active task whose last run is a day (or, often, six hours) old; returns how many ran."""
        due = [(task_id, task) for task_id, task in self.memory.tasks.items() if self._is_due(task)]
        for task_id, task in due:
            run = replace(task)
            self._report_of(task_id, run, self._run(task_id, run))
            self.memory.keep()
        return len(due)

    def _purge(self, account_id: str) -> None:
        self.portal.report([self._event(f"purge-{account_id}", "purge.completed", account_id)])
        self.memory.tasks = {
            task_id: task for task_id, task in self.memory.tasks.items() if task.account_id != account_id
        }

    def _switch(self, task_id: str, command: Mapping[str, Any]) -> None:
        account_id, revision = command["account_id"], command["revision"]
        known = self.memory.tasks.get(task_id)
        if known and known.revision >= revision:
            return
        # Remembered only once it is reported, so that what failed is done again.
        task = replace(known, revision=revision) if known else Task(account_id, revision, "paused")
        match command["command"]:
            case "task.activate":
                self._report_of(task_id, task, self._activate(task_id, task, command))
            case "task.pause":
                task.state = "paused"
                self.memory.tasks[task_id] = task
            case "task.delete":
                task.state = "deleted"
                purged = self._event(f"purge-{task_id}", "purge.completed", account_id, task_id=task_id)
                self._report_of(task_id, task, [purged])

    def _is_due(self, task: Task) -> bool:
        if task.state != "active":
            return False
        if not task.last_run_at:
            return True
        return self.now() >= datetime.fromisoformat(task.last_run_at) + _EVERY[task.frequency]

    def _activate(self, task_id: str, task: Task, command: Mapping[str, Any]) -> list[Event]:
        """The events that say which entities the task has come to protect, or not any more; its run, if one
        is due."""
        protect = command["protect"]
        task.service, task.frequency, task.state = command["service"], command["frequency"], "active"
        task.chosen = protect["entity_ids"] if protect["scope"] == "selected" else None
        found = self._entities(task_id, task)
        before = task.entity_ids
        new = [_described(entity) for entity_id, entity in found.items() if entity_id not in before]
        vanished = [entity_id for entity_id in before if entity_id not in found]
        task.entity_ids = list(found)
        discovered = [
            self._event(f"{task_id}-{task.revision}-new-{part}", "discovery.completed", task.account_id,
                        task_id=task_id, new=some)
            for part, some in enumerate(_parts(new, MOST_ENTITIES))
        ] + [
            self._event(f"{task_id}-{task.revision}-gone-{part}", "discovery.completed", task.account_id,
                        task_id=task_id, vanished=some)
            for part, some in enumerate(_parts(vanished, MOST_ENTITIES))
        ]  # fmt: skip
        return [*discovered, *(self._run(task_id, task) if self._is_due(task) else [])]

    def _run(self, task_id: str, task: Task) -> list[Event]:
        """The events of one more run: what it has backed up, and how it ended."""
        task.runs += 1
        task.last_run_at = self.now().isoformat()
        chance = random.Random(f"{self.seed} {task_id} {task.runs}")
        status = (
            "success" if task.runs == 1 else chance.choices(("success", "partial", "failed"), (18, 1, 1))[0]
        )
        name = f"{task_id}-run-{task.runs}"
        told: list[Event] = []
        if status != "failed":
            grown = 1 + 0.02 * (task.runs - 1)
            entities = [
                {
                    **_described(entity),
                    "bytes": int(entity["bytes"] * grown),
                    "last_backup_at": task.last_run_at,
                }
                for entity in self._entities(task_id, task).values()
            ]
            told = [
                self._event(
                    f"{name}-{part}", "entities.changed", task.account_id, task_id=task_id, entities=some
                )
                for part, some in enumerate(_parts(entities, MOST_ENTITIES))
            ]
        errors = [] if status == "success" else ["The service did not answer in time."]
        ended = self._event(
            name,
            "backup.completed",
            task.account_id,
            task_id=task_id,
            run_id=name,
            started_at=(self.now() - timedelta(minutes=chance.randint(2, 50))).isoformat(),
            finished_at=task.last_run_at,
            status=status,
            bytes=0 if status == "failed" else chance.randint(1, 400) * 1_000_000,
            errors=errors,
        )
        return [*told, ended]

    def _entities(self, task_id: str, task: Task) -> dict[str, Event]:
        """What the task protects, by entity id: the same each time."""
        chance = random.Random(f"{self.seed} {task_id}")
        kind = _KINDS[task.service]
        listed = task.chosen or [f"{kind}-{number:03d}" for number in range(1, chance.randint(3, 12) + 1)]
        entities: dict[str, Event] = {}
        for number, entity_id in enumerate(listed):
            name = f"{chance.choice(_FIRST_NAMES)} {chance.choice(_LAST_NAMES)}"
            entities[entity_id] = {
                "entity_id": entity_id,
                "name": f"{name}'s {kind}" if task.chosen is None else entity_id,
                "kind": kind,
                "status": "active",
                "licensed": number % 6 != 5 if kind == "mailbox" else None,
                "bytes": chance.randint(50, 9_000) * 1_000_000,
            }
        return entities

    def _event(self, event_id: str, what: str, account_id: str, **more: Any) -> Event:
        """Sent again, it has the same id: the portal takes it in once."""
        at = self.now().isoformat()
        return {"event_id": event_id, "type": what, "occurred_at": at, "account_id": account_id, **more}

    def _report_of(self, task_id: str, task: Task, events: list[Event]) -> None:
        """Report what happened to a task and remember it; one that the portal knows no longer is
        forgotten."""
        codes = self.portal.report(events)
        for event_id, code in codes.items():
            print(f"{event_id} was refused: {code}", flush=True)
        if _GONE & set(codes.values()):
            self.memory.tasks.pop(task_id, None)
        else:
            self.memory.tasks[task_id] = task


def _described(entity: Event) -> Event:
    return {name: value for name, value in entity.items() if name != "bytes"}


def _parts(things: list[Any], size: int) -> Iterator[list[Any]]:
    return (things[first : first + size] for first in range(0, len(things), size))


def of_the_local_cloud() -> Engine:
    """An engine of the running local cloud, with what it remembers from the last time."""
    deployment = cloud.deployment()
    session = requests.Session()
    session.trust_env = False
    return Engine(
        queue=cloud.client("sqs"),
        queue_url=deployment.outputs["EngineCommandsUrl"],
        portal=Portal(session, deployment.api_url, deployment.engine_token),
        now=lambda: clock.now().astimezone(UTC),
        memory=Memory.of(cloud.HOME / "engine.json"),
    )


def main(arguments: list[str]) -> str | None:
    parser = argparse.ArgumentParser(prog="python -m local.engine", description=__doc__)
    parser.add_argument("--once", action="store_true", help="do what is waiting and what is due, and stop")
    once = parser.parse_args(arguments).once
    engine = of_the_local_cloud()
    while True:
        try:
            done = engine.drain(wait_seconds=0 if once else 5)
            ran = engine.back_up_what_is_due()
        except KeyboardInterrupt:
            return None
        except (Refused, requests.ConnectionError) as trouble:
            # What was not reported is still in the queue, and due.
            if once:
                return str(trouble)
            print(trouble, flush=True)
            continue
        if done or ran or once:
            print(f"{done} commands carried out, {ran} tasks backed up", flush=True)
        if once:
            return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
