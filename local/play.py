"""Play the demo on the stage that the environment names: python -m local.play <present instant>

Runs as the functions do, with the portal's layers and settings, so `local.fill` starts it as a process of its
own. It ends the demo on the present day, and prints every month that it comes to.
"""

import json
import os
import sys
from datetime import datetime
from typing import Any
from urllib.request import ProxyHandler, build_opener

from local.demo import Demo
from local.stage import Stage
from portal import clock as portal_clock
from portal import job

_MONTHS_LOOKED_BACK = 2
"""Enough for jobs that run at least once a month, and spares most of the demo's queries."""


class _Clock:
    """Stands still until it is set, and never goes beyond the present."""

    def __init__(self, present: datetime) -> None:
        self._at = self._present = present

    def __call__(self) -> datetime:
        return self._at

    def set(self, to: datetime, /) -> None:
        self._at = min(to, self._present)


class LocalStage(Stage):
    """A stage in the local cloud, which keeps every mail that SES took."""

    def mail_to(self, address: str) -> list[str]:
        mails = [
            mail for account in _sent()["messages"].values() for mail in account if address in mail["To"]
        ]
        return [mail["BodyText"] for mail in sorted(mails, key=lambda mail: str(mail["Timestamp"]))]


def _sent() -> Any:
    address = os.environ["AWS_ENDPOINT_URL"] + "/_ministack/ses/messages"
    with build_opener(ProxyHandler({})).open(address, timeout=10) as answer:
        return json.load(answer)


def main(arguments: list[str]) -> None:
    present = datetime.fromisoformat(arguments[0])
    clock = _Clock(present)
    job._MONTHS_LOOKED_BACK = _MONTHS_LOOKED_BACK
    # What the functions log goes where errors go: standard output is for the months alone.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as progress, portal_clock.override(clock):
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        Demo(LocalStage(clock), present.date(), lambda month: print(month, file=progress, flush=True)).play()


if __name__ == "__main__":
    main(sys.argv[1:])
