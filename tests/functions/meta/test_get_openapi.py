from pathlib import Path

from tests.world import World

COPY = Path(__file__).parents[3] / "docs/openapi.json"


def test_it_serves_the_document_that_is_also_in_the_repository(world: World) -> None:
    answer = world.call("meta.get_openapi")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.text == COPY.read_text()
    assert answer.json["openapi"].startswith("3.1")
