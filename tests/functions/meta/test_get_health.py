import boto3

from portal.settings import settings
from tests.world import World


def test_it_is_well_without_a_sign_in(world: World) -> None:
    answer = world.call("meta.get_health")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


def test_it_is_not_when_the_table_cannot_be_reached(world: World) -> None:
    boto3.client("dynamodb").delete_table(TableName=settings.table_name)
    answer = world.call("meta.get_health")
    assert (answer.status, answer.code) == (500, "internal_error")
