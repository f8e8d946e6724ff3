"""What the service says of itself."""

from typing import Literal

from pydantic import BaseModel


class Health(BaseModel):
    """Answered only while the service can reach its data."""

    status: Literal["ok"]
