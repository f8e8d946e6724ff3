"""What a task protects: everything of its service, or chosen entities. One shape to send, store, show and
command."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints, field_validator

EntityId = Annotated[str, StringConstraints(pattern=r"^[!$-\[\]-{}~]{1,128}$")]
"""The engine's id of an entity: printable ASCII without blanks, `"`, `\\`, `#` or `|`."""
MOST_SELECTED = 500
MOST_CHARACTERS = 20_000
"""Of all selected ids together. All tasks of an account, each with a command that repeats what it protects, have
to fit into one transaction, and DynamoDB takes 4 MB."""


class Everything(BaseModel, extra="forbid"):
    """Whatever the service holds, now and later."""

    scope: Literal["all"] = "all"


class Selected(BaseModel, extra="forbid"):
    """Only these entities; their ids have at most 20,000 characters together."""

    scope: Literal["selected"] = "selected"
    entity_ids: Annotated[list[EntityId], Field(min_length=1, max_length=MOST_SELECTED)]

    @field_validator("entity_ids")
    @classmethod
    def _bounded(cls, entity_ids: list[str]) -> list[str]:
        if len(set(entity_ids)) < len(entity_ids):
            raise ValueError("An entity is named twice.")
        if sum(map(len, entity_ids)) > MOST_CHARACTERS:
            raise ValueError(f"The ids have more than {MOST_CHARACTERS} characters together.")
        return entity_ids


Protection = Annotated[Everything | Selected, Field(discriminator="scope")]
