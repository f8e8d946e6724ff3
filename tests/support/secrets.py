"""Nothing secret is logged, and nothing secret of a request comes back in a refusal: watched over in every test.

What is secret is known in two ways: by its looks (tokens, password hashes, Authorization headers), and by where it
stood in a request or an answer, such as in the field `password`.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

from local.stage import Context
from portal.telemetry import logger

_LOOKS_SECRET = re.compile(
    r"\bdp[a-z]_[A-Za-z0-9_.?-]{20,}"  # the portal's own tokens, links, challenges and keys
    r"|\beng_[A-Za-z0-9]"  # the engine's token
    r"|\$argon2"
    r"|otpauth:"
    r"|\b(?:[Bb]earer|[Bb]asic) +[A-Za-z0-9._~+/=-]{8,}"  # an Authorization header
    r"|\beyJ[A-Za-z0-9_-]{8,}\.eyJ"  # a JSON Web Token
    r"|-----BEGIN "
    r"|value of (?:cursor|engine)-secret"
)
_SECRET_FIELDS = frozenset(
    {
        "access_token", "challenge_token", "client-secret", "client_secret", "code", "confirmation", "cookie",
        "current", "current_password", "new", "new_password", "password", "recovery_code", "recovery_codes",
        "refresh_token", "secret", "token",
    }
)  # fmt: skip
_NO_SECRETS_IN_ANSWERS = {"code", "confirmation", "current", "new"}
"""Names that mean something else there."""
_TOO_SHORT = 8
"""What has fewer characters may stand in a text by chance."""


_TOO_LONG = 100_000
"""Characters of a text that is not looked through: a list, and no place for secrets."""


class SecretTold(AssertionError):
    """A secret was logged, or came back in a refusal."""


class Watch(logging.Handler):
    """Reads all that is logged while it is on, whatever its level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.told: list[str] = []
        self.lines = 0
        self._known: set[str] = set()

    def before(self, event: Any) -> None:
        """A function is about to be invoked: what is secret in the event must not be logged from now on."""
        if isinstance(event, Mapping):
            self._known.update(in_request(event))

    def after(self, event: Any, answer: Any) -> None:
        """What is secret in an answer must not be logged either; what was in the request must not be in a refusal."""
        if not isinstance(answer, dict) or not isinstance(event, Mapping) or "statusCode" not in answer:
            return
        if answer["statusCode"] < 400:
            self._known.update(in_text(answer["body"], _SECRET_FIELDS - _NO_SECRETS_IN_ANSWERS))
            return
        for secret in in_request(event):
            if secret in answer["body"]:
                self.told.append(f"came back in a refusal: {secret!r} in {answer['body'][:2000]}")

    def emit(self, record: logging.LogRecord) -> None:
        formatter = logger.registered_formatter if record.name == logger.name else None
        text = (formatter or logging.Formatter()).format(record)
        self.lines += 1
        self.check(text, "logged")

    def check(self, text: str, how: str) -> None:
        found = _LOOKS_SECRET.search(text)
        known = found[0] if found else next((each for each in self._known if each in text), None)
        if known:
            self.told.append(f"{how}: {known!r} in {text[:2000]}")

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """Demand that the block tells a secret, and forgive it."""
        before = len(self.told)
        yield
        assert self.told[before:], "no secret was told"
        del self.told[before:]

    def verify(self) -> None:
        if self.told:
            raise SecretTold("\n".join(self.told[:5]))


@contextmanager
def watching() -> Iterator[Watch]:
    """Read every line of the log, also those below the level that is printed."""
    watch, level = Watch(), logger.log_level
    printed = logger.registered_handler
    printed_from = printed.level
    logger.setLevel(logging.DEBUG)
    printed.setLevel(level)
    root = logging.getLogger()
    root.addHandler(watch)
    try:
        yield watch
    finally:
        root.removeHandler(watch)
        printed.setLevel(printed_from)
        logger.setLevel(level)


def in_request(event: Mapping[str, Any]) -> Iterator[str]:
    """What is secret in a request: its Authorization header and the fields that hold secrets."""
    headers = event.get("headers")
    for name, value in headers.items() if isinstance(headers, Mapping) else ():
        if str(name).lower() == "authorization" and isinstance(value, str):
            yield from _worth(value.partition(" ")[2])
        elif str(name).lower() in _SECRET_FIELDS:
            yield from _worth(value)
    body = event.get("body")
    if isinstance(body, str):
        yield from in_text(body)


def in_text(body: str, fields: frozenset[str] = _SECRET_FIELDS) -> Iterator[str]:
    """What is secret in a JSON or form-encoded text: the values of these fields."""
    if len(body) > _TOO_LONG or not any(name in body for name in fields):
        return
    try:
        yield from _secrets(json.loads(body), fields)
    except ValueError:
        yield from _secrets(dict(parse_qsl(body)), fields)
    except RecursionError:
        return


def _secrets(thing: Any, fields: frozenset[str]) -> Iterator[str]:
    if isinstance(thing, dict):
        for name, value in thing.items():
            if name not in fields:
                yield from _secrets(value, fields)
            elif isinstance(value, list):
                for each in value:
                    yield from _worth(each)
            else:
                yield from _worth(value)
    elif isinstance(thing, list):
        for each in thing:
            yield from _secrets(each, fields)


def _worth(value: Any) -> Iterator[str]:
    if not isinstance(value, str) or len(value) < _TOO_SHORT or value in _SECRET_FIELDS:
        return
    # A fuzzer takes words from the code: one that every line of the log holds is no secret.
    if value not in Context.invoked_function_arn:
        yield value
