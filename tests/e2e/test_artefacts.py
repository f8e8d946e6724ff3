"""What `sam build` makes: complete, lean, compiled, and running under Lambda's own runtime client."""

import importlib.util
import json
import marshal
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from tests.e2e.conftest import ROOT, LocalCloud

pytestmark = pytest.mark.xdist_group("local_cloud")

_RUNTIME_CLIENT = ("awslambdaric", "runtime_client", "snapshot_restore_py", "simplejson")
_UNCHECKED_HASH = 0b01
_LARGEST = {"PortalLayer": 5_000_000, "VendorLayer": 70_000_000, "PaymentsLayer": 40_000_000}
"""Bytes, unzipped; each cold start reads from them, and Lambda takes 250 MB at most. Few functions have the last one."""


@pytest.fixture(scope="session")
def app(local_cloud: LocalCloud) -> Path:
    return local_cloud.home / "build/app"


@pytest.fixture(scope="session")
def layers(app: Path) -> list[Path]:
    """As Lambda puts them on the import path, in this order."""
    return [app / "PortalLayer/python", app / "VendorLayer/python", app / "PaymentsLayer/python"]


def test_every_module_of_the_layers_has_bytecode_that_holds_whatever_its_date(layers: list[Path]) -> None:
    modules = [module for layer in layers for module in layer.rglob("*.py")]
    assert len(modules) > 500
    for module in modules:
        bytecode = Path(importlib.util.cache_from_source(str(module))).read_bytes()
        assert bytecode[:4] == importlib.util.MAGIC_NUMBER, module
        assert int.from_bytes(bytecode[4:8], "little") == _UNCHECKED_HASH, module
        assert marshal.loads(bytecode[16:]).co_name == "<module>"


def test_the_layers_hold_nothing_that_only_building_and_testing_need(layers: list[Path]) -> None:
    files = [path.relative_to(layer) for layer in layers for path in layer.rglob("*") if path.is_file()]
    unwanted = {"pip", "setuptools", "wheel", "bin", "tests", "test", "examples", "include", "moto", "pytest"}
    assert not [file for file in files if unwanted & set(file.parts)]
    assert not [file for file in files if file.suffix in (".pyi", ".pyx", ".pxd", ".c", ".h", ".exe", ".whl")]
    assert not [file for file in files if any(part.startswith(".") for part in file.parts)]
    for layer in layers:
        size = sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())
        assert size < _LARGEST[layer.parent.name], layer


def test_botocore_knows_the_services_that_are_called_and_no_others(layers: list[Path]) -> None:
    portal, vendor, _ = layers
    called = {
        service
        for module in portal.rglob("*.py")
        for service in re.findall(r'client\(\s*"([a-z0-9]+)"', module.read_text())
    }
    # PynamoDB makes its own client of DynamoDB, and the tracer one of X-Ray.
    assert {path.name for path in (vendor / "botocore/data").iterdir() if path.is_dir()} == called | {
        "dynamodb",
        "xray",
    }


def test_the_payment_providers_library_is_in_a_layer_of_its_own_and_finds_the_rest(
    layers: list[Path],
) -> None:
    _, vendor, payments = layers
    assert [path.name for path in payments.iterdir() if not path.name.endswith(".dist-info")] == ["stripe"]
    assert not (vendor / "stripe").exists()
    probe = "import stripe; stripe.RequestsClient(timeout=1); print(stripe.__file__)"
    variables = {"PYTHONPATH": os.pathsep.join(map(str, layers)), "PATH": "/usr/bin:/bin"}
    # `-S`: without what this environment has installed.
    done = subprocess.run(
        [sys.executable, "-S", "-c", probe], env=variables, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == str(payments / "stripe/__init__.py"), done.stderr


def test_the_functions_are_a_few_sources_and_nothing_else(app: Path) -> None:
    with zipfile.ZipFile(app / "functions.zip") as archive:
        names = archive.namelist()
    assert set(names) == {
        path.relative_to(ROOT / "functions").as_posix() for path in (ROOT / "functions").rglob("*.py")
    }


def test_a_built_function_answers_under_the_runtime_client_from_bytecode_alone(
    local_cloud: LocalCloud, app: Path, layers: list[Path], tmp_path: Path
) -> None:
    """The sources in the layers are made unusable: whatever runs, runs from bytecode. `-S` keeps this
    environment's own packages out of the function's way."""
    task = tmp_path / "task"
    with zipfile.ZipFile(app / "functions.zip") as archive:
        archive.extractall(task)
    blinded = [_without_sources(layer, tmp_path / layer.parent.name) for layer in layers]
    path = [task, *blinded, _runtime_client(tmp_path / "runtime")]
    outputs = local_cloud.outputs()
    variables = {
        "PATH": "/usr/bin:/bin",
        "LAMBDA_TASK_ROOT": str(task),
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "AWS_LAMBDA_FUNCTION_NAME": "GetHealth",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_ENDPOINT_URL": outputs["Endpoint"],
        "POWERTOOLS_TRACE_DISABLED": "true",
        "TABLE_NAME": outputs["TableName"],
    }
    with _emulator(tmp_path, "meta.get_health.handler", variables) as address:
        answer = _invoked(address, _request("GET", "/v1/health"))

    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"status": "ok"})
    log = (tmp_path / "log").read_text()
    assert "INIT REPORT" in log
    assert "Traceback" not in log


def _without_sources(layer: Path, copy: Path) -> Path:
    shutil.copytree(layer, copy)
    for module in copy.rglob("*.py"):
        module.write_text("raise SystemError('compiled anew')\n")
    return copy


def _runtime_client(folder: Path) -> Path:
    """Only what Lambda itself brings, linked out of this environment."""
    packages = Path(importlib.util.find_spec("awslambdaric").origin).parents[1]
    folder.mkdir()
    for found in packages.iterdir():
        if found.name.partition(".")[0] in _RUNTIME_CLIENT and not found.name.endswith(".dist-info"):
            (folder / found.name).symlink_to(found)
    return folder


@contextmanager
def _emulator(folder: Path, handler: str, variables: dict[str, str]) -> Iterator[str]:
    """The runtime interface emulator with a function; gives the address to invoke it at."""
    machine = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
    [carried] = (ROOT / ".venv-cloud").glob(
        f"lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-{machine}"
    )
    emulator = folder / "emulator"
    shutil.copy(carried, emulator)
    emulator.chmod(0o755)
    address, internal = _free_address(), _free_address()
    command = [emulator, "--runtime-interface-emulator-address", address, "--runtime-api-address", internal]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, sys.executable, "-S", "-m", "awslambdaric", handler],
            cwd=folder / "task",
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(address, process)
        yield f"http://{address}/2015-03-31/functions/function/invocations"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    """Until it listens."""
    host, _, port = address.partition(":")
    while process.poll() is None:
        with suppress(ConnectionRefusedError), socket.create_connection((host, int(port)), timeout=20):
            return
    pytest.fail("the emulator has stopped")


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _invoked(address: str, event: dict[str, Any]) -> dict[str, Any]:
    request = Request(address, json.dumps(event).encode(), {"Content-Type": "application/json"})
    with build_opener(ProxyHandler({})).open(request, timeout=60) as answer:
        result: dict[str, Any] = json.load(answer)
    return result


def _request(method: str, path: str) -> dict[str, Any]:
    return {
        "httpMethod": method,
        "path": path,
        "headers": {},
        "pathParameters": None,
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "body": None,
        "isBase64Encoded": False,
        "requestContext": {"requestId": "r-1", "identity": {"sourceIp": "198.51.100.7"}, "authorizer": {}},
    }
