"""The JSON schemas of what the backup engine is told and reports, written to docs/ from the models:

PYTHONPATH=layers/portal python -m local.engine_schemas
"""

import json
from pathlib import Path
from typing import Any

from portal.engine.commands import COMMAND
from portal.engine.events import EVENT, MOST_EVENTS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = Path(__file__).resolve().parent.parent / "docs"


def commands_schema() -> dict[str, Any]:
    """A message of the queue `EngineCommands`."""
    return {"$schema": _DIALECT, "title": "EngineCommand", **COMMAND.json_schema(mode="serialization")}


def events_schema() -> dict[str, Any]:
    """The body of POST /v1/engine/events."""
    event = EVENT.json_schema()
    definitions = event.pop("$defs")
    return {
        "$schema": _DIALECT,
        "title": "EngineEvents",
        "type": "object",
        "additionalProperties": False,
        "required": ["events"],
        "properties": {
            "events": {"type": "array", "minItems": 1, "maxItems": MOST_EVENTS, "items": event},
        },
        "$defs": definitions,
    }


def documents() -> dict[Path, str]:
    """The files and what they say."""
    schemas = {
        "engine-commands.schema.json": commands_schema(),
        "engine-events.schema.json": events_schema(),
    }
    return {FOLDER / name: json.dumps(schema, indent=2) + "\n" for name, schema in schemas.items()}


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text)
