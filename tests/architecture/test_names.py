"""One name for everything: the file is the Lambda function, its handler, and its route is the docstring's."""

import re

import pytest

from tests.architecture.sources import Function, functions, operations, resources

DEPLOYED = resources("AWS::Serverless::Function")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "ANY")


def _events(logical_id: str, kind: str) -> list[dict[str, object]]:
    events = DEPLOYED[logical_id].get("Events", {}).values()
    return [event["Properties"] for event in events if event["Type"] == kind]


def test_every_file_is_deployed_and_nothing_else() -> None:
    files = {function.logical_id: f"{function.name}.handler" for function in functions()}
    deployed = {logical_id: properties["Handler"] for logical_id, properties in DEPLOYED.items()}
    missing = sorted(set(files) - set(deployed))
    extra = sorted(set(deployed) - set(files))
    assert not missing, f"template.yaml has no function {missing}"
    assert not extra, f"there is no file in functions/ for {extra} of template.yaml"
    wrong = {name: deployed[name] for name in files if deployed[name] != files[name]}
    assert not wrong, f"Handler must be <folder>.<file>.handler: {wrong}"


def test_no_two_files_have_the_same_name() -> None:
    stems = [function.stem for function in functions()]
    assert sorted(set(stems)) == sorted(stems)


@pytest.mark.parametrize("function", functions(), ids=str)
def test_the_docstring_begins_with_the_trigger_of_the_template(function: Function) -> None:
    assert function.trigger, f"{function.path} has no docstring"
    stem = function.stem
    if function.is_operation:
        method, path = function.route
        routes = [(str(each["Method"]).upper(), each["Path"]) for each in _events(function.logical_id, "Api")]
        assert routes == [(method, path)], f"the template says {routes}, the docstring {function.trigger}"
    elif stem.startswith("run_"):
        assert _events(function.logical_id, "ScheduleV2"), (
            f"{function} has no ScheduleV2 event in the template"
        )
        assert function.trigger.startswith("Schedule: "), (
            f"{function}: begin the docstring with «Schedule: ...»"
        )
    elif queues := _events(function.logical_id, "SQS"):
        (queue,) = (each["Queue"] for each in queues)
        name = str(queue["Fn::GetAtt"]).removesuffix(".Arn")  # type: ignore[index]
        assert function.trigger == f"Queue: {name}", f"{function}: begin the docstring with «Queue: {name}»"
    elif _events(function.logical_id, "DynamoDB"):
        assert function.trigger.startswith("Stream: "), f"{function}: begin the docstring with «Stream: ...»"
    else:
        assert not DEPLOYED[function.logical_id].get("Events"), f"{function} has events that nobody described"


@pytest.mark.parametrize("function", functions(), ids=str)
def test_the_name_says_what_kind_of_function_it_is(function: Function) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", function.stem)
    if _events(function.logical_id, "SQS"):
        assert function.stem.startswith("on_"), f"{function} works on a queue: call it on_<event>"
    if _events(function.logical_id, "ScheduleV2"):
        assert function.stem.startswith("run_"), f"{function} has a schedule: call it run_<job>"
    if function.is_operation:
        assert not function.stem.startswith(("on_", "run_"))


@pytest.mark.parametrize("function", operations(), ids=str)
def test_paths_are_versioned_and_spelled_alike(function: Function) -> None:
    method, path = function.route
    assert method in _METHODS
    if path != "/{proxy+}":
        assert re.fullmatch(r"/v1(/([a-z][a-z.-]*|\{[a-z]+(_[a-z]+)*\}))+", path), path


def test_no_two_operations_have_the_same_route() -> None:
    routes = [function.route for function in operations()]
    assert sorted(set(routes)) == sorted(routes)
