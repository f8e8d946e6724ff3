"""Where the writer of a report stands between two invocations."""

from pydantic import BaseModel


class Progress(BaseModel):
    upload_id: str
    parts: list[tuple[int, str]] = []
    """Number and etag of what S3 has of the zip."""
    tail: str = ""
    """The file that holds the zip's last bytes, which were too few for a part."""
    place: int = 0
    """Index of the present account in the selection."""
    after: str = ""
    """Sort key of the last entity of that account in the zip; empty when there is none yet."""
    rows: int = 0
    crc: int = 0
    raw_bytes: int = 0
    packed_bytes: int = 0
    closed: bool = False
    """Every part is sent; all that is left is to make the file appear."""
