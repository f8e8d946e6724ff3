"""The page that shows the OpenAPI document: self-contained, with headers that let nothing else run."""

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_PAGE = Path(__file__).with_name("docs.html")


@cache
def html() -> str:
    return _PAGE.read_text()


@cache
def headers() -> Mapping[str, str]:
    """The page may run its own script and style, known by their hashes, and ask its own origin."""
    policy = {
        "default-src": "'none'",
        "script-src": _hashes("script"),
        "style-src": _hashes("style"),
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
    }


def _hashes(element: str) -> str:
    texts = re.findall(rf"<{element}>(.*?)</{element}>", html(), re.DOTALL)
    return " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts
    )
