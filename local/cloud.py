"""The local cloud's life: start, build, deploy, stop, reset.

It is MiniStack, an AWS in one process, on the loopback address only, with the real template deployed to it
by the SAM CLI. What it stores is in `.local/`, and survives a stop.

    python -m local.cloud up | stop | reset
"""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import boto3

from local import gaps
from local.package import ROOT, sources, zip_functions

HOST = "127.0.0.1"
PORT = int(os.environ.get("PORT") or 4566)
ENDPOINT = f"http://{HOST}:{PORT}"
REGION = "eu-central-1"
STACK = "portal"
STAGE = "live"

HOME = Path(os.environ.get("LOCAL_HOME") or ROOT / ".local").resolve()
CLOCK_FILE = HOME / "clock"
_PID_FILE = HOME / "pid"
_LOGS = HOME / "log"
_TEMPORARY = HOME / "tmp"
_STORED = ("state", "s3", "tmp", "clock", "pid")
_APP = HOME / "build" / "app"

_TOOLS = Path(sys.executable).parent
_CONFIG = ROOT / "samconfig.toml"
_KEPT = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR")
_DEPLOYED = "/local-cloud/deployed"
_START_SECONDS = 60
_STOP_SECONDS = 60


class Trouble(Exception):
    """Something that the person at the keyboard has to put right, said in one sentence."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The running stack."""

    outputs: dict[str, str]
    """The `Outputs` of template.yaml."""
    changed: bool
    """Whether it was deployed just now."""

    @property
    def api_url(self) -> str:
        return f"http://{self.outputs['ApiId']}.execute-api.localhost:{PORT}/{STAGE}"


def client(service: str) -> Any:
    """A boto3 client of the local cloud."""
    session = boto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name=REGION)
    return session.client(service, endpoint_url=ENDPOINT)  # type: ignore[call-overload]


def up() -> Deployment:
    """Start what is not running, build and deploy what changed."""
    _start()
    wanted = _fingerprint()
    changed = _deployed() != wanted
    if changed:
        _build()
        _deploy(wanted)
    stacks = client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}
    return Deployment(outputs, changed)


def save() -> None:
    """Write what is stored to disk, which MiniStack does only when it stops: so stop and start it."""
    with step("Saving"), redirect_stdout(None):
        stop()
        _start()


def stop() -> None:
    """Stop in order; what is stored is written to disk."""
    pid = _running()
    if pid is None:
        print("The local cloud is not running.")
        return
    with step("Stopping the local cloud"):
        os.kill(pid, signal.SIGTERM)
        if not _within(_STOP_SECONDS, lambda: not _alive(pid)):
            raise Trouble(f"The local cloud (process {pid}) does not stop.")
    _PID_FILE.unlink(missing_ok=True)
    shutil.rmtree(_TEMPORARY, ignore_errors=True)


def reset() -> None:
    """Stop and forget everything that was stored; what was built is kept."""
    if _running() is not None:
        stop()
    with step("Forgetting what was stored"):
        for name in _STORED:
            path = HOME / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """A line that says what is being done, and how long it took when it is done."""
    print(f"{what} ... ", end="", flush=True)
    began = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{time.monotonic() - began:.1f} s", flush=True)


def _start() -> None:
    if _running() is not None:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, PORT))
        except OSError:
            other = f"make run PORT={PORT + 1}"
            raise Trouble(
                f"Port {PORT} is in use by another program: stop it, or take another: {other}"
            ) from None
    with step(f"Starting the local cloud on {ENDPOINT}"):
        shutil.rmtree(_TEMPORARY, ignore_errors=True)
        for folder in (_LOGS, _TEMPORARY):
            folder.mkdir(parents=True, exist_ok=True)
        log = _LOGS / "cloud.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [_TOOLS / "ministack"],
                env=_environment()
                | {
                    "GATEWAY_PORT": str(PORT),
                    "BIND_HOST": HOST,
                    "MINISTACK_REGION": REGION,
                    "IOT_MTLS_ENABLED": "0",
                    "SFTP_ENABLED": "0",
                    "PERSIST_STATE": "1",
                    "STATE_DIR": str(HOME / "state"),
                    "S3_PERSIST": "1",
                    "S3_DATA_DIR": str(HOME / "s3"),
                    "TMPDIR": str(_TEMPORARY),
                    "LOG_LEVEL": "INFO",
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _PID_FILE.write_text(str(process.pid))
        if not _within(_START_SECONDS, lambda: _healthy() or process.poll() is not None) or not _healthy():
            raise Trouble(f"The local cloud did not start; its log is {log}")


def _build() -> None:
    with step("Building the layers"):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        _sam(
            "build",
            "--cache-dir", str(HOME / "cache" / version),
            LAYER_TARGET="local",
            BUILD_PYTHON=sys.executable,
        )  # fmt: skip
        zip_functions(_APP / "functions.zip")


def _deploy(fingerprint: str) -> None:
    with step("Deploying template.yaml"):
        _sam(
            "deploy",
            "--template-file", str(_APP / "template.yaml"),
            "--parameter-overrides",
            "DeletionProtection=false",
            "Tracing=PassThrough",
            "PortalUrl=http://localhost:3000",
            f"ClockFile={CLOCK_FILE}",
        )  # fmt: skip
        gaps.close(client, STACK, STAGE)
        client("ssm").put_parameter(Name=_DEPLOYED, Value=fingerprint, Type="String", Overwrite=True)


def _sam(command: str, *arguments: str, **environment: str) -> None:
    log = _LOGS / f"{command}.log"
    if command == "build":
        arguments = ("--build-dir", str(_APP), *arguments)
    with log.open("w") as output:
        done = subprocess.run(
            [_TOOLS / "sam", command, "--config-file", _CONFIG, "--config-env", "local", *arguments],
            cwd=ROOT,
            env=_environment() | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        last = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-5:]
        raise Trouble("\n".join([f"sam {command} failed; its log is {log} and ends:", *last]))


def _environment() -> dict[str, str]:
    """Only what the tools need: nobody's AWS profile, proxy or Python path gets in."""
    kept = {name: text for name, text in os.environ.items() if name in _KEPT or name.startswith("PIP_")}
    return kept | {
        "AWS_ENDPOINT_URL": ENDPOINT,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_BETA_PACKAGE_PERFORMANCE": "1",
    }


def _fingerprint() -> str:
    """Of everything that what is deployed depends on."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {CLOCK_FILE} {PORT}".encode())
    folders = [ROOT / "functions", ROOT / "layers"]
    files = [ROOT / "template.yaml", _CONFIG, ROOT / "requirements-cloud.txt"]
    files += [ROOT / "local" / "cloud.py", ROOT / "local" / "gaps.py"]
    for path in files + [found for folder in folders for found in sources(folder)]:
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _deployed() -> str | None:
    """The fingerprint of what is deployed; kept in the cloud itself, so lost and found with the rest."""
    ssm = client("ssm")
    try:
        value: str = ssm.get_parameter(Name=_DEPLOYED)["Parameter"]["Value"]
    except ssm.exceptions.ParameterNotFound:
        return None
    return value


def _running() -> int | None:
    """The process of this local cloud, when it runs and answers."""
    if not _PID_FILE.exists():
        return None
    pid = int(_PID_FILE.read_text() or 0)
    return pid if _alive(pid) and _healthy() else None


def _alive(pid: int) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return pid > 0


def _healthy() -> bool:
    try:
        with build_opener(ProxyHandler({})).open(f"{ENDPOINT}/_ministack/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def main(arguments: list[str]) -> str | None:
    commands = {"up": up, "stop": stop, "reset": reset}
    try:
        commands[arguments[0]]()
    except Trouble as trouble:
        return str(trouble)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
