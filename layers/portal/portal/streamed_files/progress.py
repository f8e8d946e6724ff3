"""Where the writer of a file stands between two invocations."""

from typing import Any

from pydantic import BaseModel


class Progress(BaseModel):
    upload_id: str
    parts: list[tuple[int, str]] = []
    """Number and etag of what S3 has of the file."""
    tail: str = ""
    """The file that holds the last bytes, which were too few for a part."""
    where: dict[str, Any] = {}
    """How to go on behind the last row: what the last `Step` said."""
    stream: dict[str, int] = {}
    """The state of the stream that makes bytes of the rows."""
    rows: int = 0
    closed: bool = False
    """Every part is sent; all that is left is to make the file appear."""
