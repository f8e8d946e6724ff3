import pytest

from tests.world import World


@pytest.mark.parametrize(
    "path",
    ["", "v1", "v1/nothing", "v1/partners/prt_1/nothing", "v2/partners", "v1/partners/", "v1//partners"],
)
def test_an_address_that_does_not_exist_is_not_found(world: World, path: str) -> None:
    answer = world.call("meta.refuse_unknown", path={"proxy": path})
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("v1/health", "GET"), ("v1/reports/usage", "POST"), ("v1/reports/rep_1", "GET"), ("v1/me", "GET")],
)
def test_an_address_with_other_methods_says_which(world: World, path: str, allowed: str) -> None:
    answer = world.call("meta.refuse_unknown", path={"proxy": path})
    assert (answer.status, answer.code, answer.headers["Allow"]) == (405, "method_not_allowed", allowed)
