"""The portal's API as anybody outside would call it."""

import json
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

_TIMEOUT_SECONDS = 120


class Refused(Exception):
    """An answer that is not the wanted one."""

    def __init__(self, request: str, status: int, text: str) -> None:
        super().__init__(f"{request} was answered {status}: {text}")
        self.status = status


@dataclass
class Api:
    """The API at an address, e.g. `http://127.0.0.1:4566/.../live/v1`, on behalf of whoever has the token."""

    url: str
    token: str = ""
    sent: list[int] = field(default_factory=lambda: [0])
    """How many requests were sent, shared with those that `with_token` gives."""

    def with_token(self, token: str) -> "Api":
        return Api(self.url, token, self.sent)

    def sign_in(self, email: str, password: str) -> "Api":
        tokens = self.post("/auth/sign-in", {"email": email, "password": password})
        return self.with_token(tokens["access_token"])

    def get(self, path: str, **query: Any) -> Any:
        return self._asked("GET", f"{path}?{urlencode(query)}" if query else path, None)

    def post(self, path: str, body: Any = None) -> Any:
        return self._asked("POST", path, body)

    def delete(self, path: str, body: Any = None) -> Any:
        return self._asked("DELETE", path, body)

    def _asked(self, method: str, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        self.sent[0] += 1
        raw = None if body is None else json.dumps(body).encode()
        status, data = fetch(method, self.url + path, raw, headers)
        if status >= 400:
            raise Refused(f"{method} {path}", status, data.decode(errors="replace"))
        return json.loads(data) if data else None


def fetch(
    method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    """Status and body of an answer; redirects are not followed."""
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.netloc, timeout=_TIMEOUT_SECONDS)) as connection:
        connection.request(method, f"{parts.path}?{parts.query}".rstrip("?"), body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
