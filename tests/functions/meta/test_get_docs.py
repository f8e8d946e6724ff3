import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from tests.world import Answer, World


class Outside(HTMLParser):
    """Collects whatever an element would load from elsewhere, and scripts in attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [
            (tag, name) for name, _ in attrs if name in ("src", "href", "style") or name[:2] == "on"
        ]


@pytest.fixture
def page(world: World) -> Answer:
    answer = world.call("meta.get_docs")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    return answer


def test_the_page_needs_nothing_but_itself_and_the_document(page: Answer) -> None:
    outside = Outside()
    outside.feed(page.text)
    assert outside.found == []
    assert re.findall(r'fetch\("([^"]+)"\)', page.text) == ["openapi.json"]


def test_only_its_own_script_and_style_may_run(page: Answer) -> None:
    policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    for element in ("script", "style"):
        (text,) = re.findall(rf"<{element}>(.*?)</{element}>", page.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy[f"{element}-src"] == f"'sha256-{digest}'"


def test_what_the_document_says_is_shown_as_text_never_as_markup(page: Answer) -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", page.text)
