"""The local cloud's life: start, build, deploy, stop, reset.

It is MiniStack, an AWS in one process, on the loopback address only, with the real template deployed to it
by the SAM CLI; beside it run the simulated backup engine, identity provider and payment provider. What they
store is in `.local/`, and survives a stop.

    python -m local.cloud up | stop | reset
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
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
PROVIDER_PORT = PORT + 1000 if PORT < 64_000 else PORT - 1000
"""Not the next one, which a second local cloud would take."""
PROVIDER = f"http://{HOST}:{PROVIDER_PORT}"
"""The simulated identity provider."""
STRIPE_PORT = PORT + 2000 if PORT < 63_000 else PORT - 2000
STRIPE = f"http://{HOST}:{STRIPE_PORT}"
"""The simulated payment provider."""
STRIPE_API_KEY, STRIPE_PUBLISHABLE_KEY = "sk_test_local", "pk_test_local"
"""What the portal and a browser show it; it takes any."""
REGION = "eu-central-1"
STACK = "portal"
STAGE = "live"

HOME = Path(os.environ.get("LOCAL_HOME") or ROOT / ".local").resolve()
CLOCK_FILE = HOME / "clock"
LOGS = HOME / "log"
APP = HOME / "build" / "app"
"""What `sam build` made: the expanded template, the layers, the functions."""
_TEMPORARY = HOME / "tmp"
_STORED = ("state", "s3", "tmp", "run", "clock", "engine.json", "stripe.pickle")

_CLOUD, _ENGINE, _PROVIDER, _PAYMENTS = "cloud", "engine", "provider", "stripe"
_OWN = {"PORT": str(PORT), "LOCAL_HOME": str(HOME)}
"""For other modules of this package that are started as processes."""
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
    def engine_token(self) -> str:
        """With what the backup engine signs in."""
        secret = client("secretsmanager").get_secret_value(SecretId=self.outputs["EngineSecretArn"])
        return f"eng_{secret['SecretString']}"

    @property
    def payment_secrets(self) -> dict[str, str]:
        """What the portal and the payment provider know each other by: `api_key` and `webhook_secret`."""
        secret = client("secretsmanager").get_secret_value(SecretId=self.outputs["PaymentSecretArn"])
        secrets: dict[str, str] = json.loads(secret["SecretString"])
        return secrets

    @property
    def api_url(self) -> str:
        """Without host names that only some systems resolve, such as `<id>.execute-api.localhost`."""
        return f"{ENDPOINT}/_aws/execute-api/{self.outputs['ApiId']}/{STAGE}"


@cache
def client(service: str) -> Any:
    """A boto3 client of the local cloud."""
    session = boto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name=REGION)
    return session.client(service, endpoint_url=ENDPOINT)  # type: ignore[call-overload]


def up() -> Deployment:
    """Start what is not running, build and deploy what changed."""
    _start()
    wanted = _fingerprint()
    changed = remembered(_DEPLOYED) != wanted
    if changed:
        _end(_ENGINE)
        _end(_PAYMENTS)
        _build()
        _deploy()
        _introduce_payments()
        remember(_DEPLOYED, wanted)
    return _described(changed=changed)


def deployment() -> Deployment:
    """What runs already.

    Raises:
        Trouble: nothing does.
    """
    if not _healthy() or remembered(_DEPLOYED) is None:
        raise Trouble("The local cloud is not running: start it with make run.")
    return _described(changed=False)


def save() -> None:
    """Write what is stored to disk, which MiniStack does only when it stops: so stop and start it."""
    with step("Saving"), redirect_stdout(StringIO()):
        stop()
        _start()


def start_engine() -> None:
    """Let the simulated backup engine carry out commands, in the background, until `stop`."""
    if not _holds(_ENGINE):
        _launch(_ENGINE, [sys.executable, "-m", "local.engine"], surroundings() | _OWN)


def start_provider() -> None:
    """Let people sign in with the simulated identity provider, which runs in the background until `stop`."""
    _serve(_PROVIDER, "local.provider", PROVIDER_PORT, PROVIDER)


def start_payments() -> None:
    """Let people pay with the simulated payment provider, which runs in the background until `stop`."""
    _serve(_PAYMENTS, "local.stripe", STRIPE_PORT, STRIPE)


def _serve(name: str, module: str, port: int, address: str) -> None:
    if _holds(name):
        return
    _check_free(port)
    _launch(name, [sys.executable, "-m", module], surroundings() | _OWN)
    if not _within(_START_SECONDS, lambda: _answers(address) or not _holds(name)) or not _answers(address):
        raise Trouble(f"{module} did not start; its log is {LOGS / name}.log")


def stop() -> None:
    """Stop in order; what is stored is written to disk."""
    _end(_ENGINE)
    _end(_PROVIDER)
    _end(_PAYMENTS)
    if not _holds(_CLOUD):
        print("The local cloud is not running.")
        return
    with step("Stopping the local cloud"):
        _end(_CLOUD)
    shutil.rmtree(_TEMPORARY, ignore_errors=True)


def reset() -> None:
    """Stop and forget everything that was stored; what was built is kept."""
    _end(_ENGINE)
    _end(_PROVIDER)
    _end(_PAYMENTS)
    if _holds(_CLOUD):
        stop()
    with step("Forgetting what was stored"):
        for name in _STORED:
            path = HOME / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@contextmanager
def step(what: str) -> Iterator[Callable[[str], None]]:
    """A line that says what is being done, and how long it took when it is done.

    Gives a function by which the line tells how far it is.
    """
    line, in_place = f"{what} ... ", sys.stdout.isatty()
    print(line, end="", flush=True)
    began = time.monotonic()

    def tell(how_far: str) -> None:
        print(f"\r{line}{how_far}\x1b[K" if in_place else f"{how_far}, ", end="", flush=True)

    def end(how: str) -> None:
        print(f"\r{line}{how}\x1b[K" if in_place else how, flush=True)

    try:
        yield tell
    except BaseException:
        end("failed")
        raise
    end(f"{time.monotonic() - began:.1f} s")


def _start() -> None:
    if _holds(_CLOUD) and _within(_START_SECONDS, lambda: _healthy() or not _holds(_CLOUD)):
        if _healthy():
            return
    elif _holds(_CLOUD):
        raise Trouble(f"The local cloud runs, but not on port {PORT}: stop it first, with make stop.")
    _check_free(PORT)
    with step(f"Starting the local cloud on {ENDPOINT}"):
        shutil.rmtree(_TEMPORARY, ignore_errors=True)
        for folder in (LOGS, _TEMPORARY):
            folder.mkdir(parents=True, exist_ok=True)
        gaps.begin_streams_anew(HOME / "state")
        settings = {
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
        }
        _launch(_CLOUD, [_TOOLS / "ministack"], surroundings() | settings)
        if not _within(_START_SECONDS, lambda: _healthy() or not _holds(_CLOUD)) or not _healthy():
            raise Trouble(f"The local cloud did not start; its log is {LOGS / _CLOUD}.log")


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            other = f"make run PORT={PORT + 1}"
            raise Trouble(
                f"Port {port} is in use by another program: stop it, or take another: {other}"
            ) from None


def _build() -> None:
    with step("Building the layers"):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        _sam(
            "build",
            "--cache-dir", str(HOME / "cache" / version),
            LAYER_TARGET="local",
            BUILD_PYTHON=sys.executable,
        )  # fmt: skip
        zip_functions(APP / "functions.zip")


def _deploy() -> None:
    with step("Deploying template.yaml"):
        _sam(
            "deploy",
            "--template-file", str(APP / "template.yaml"),
            "--parameter-overrides",
            "DeletionProtection=false",
            "Tracing=PassThrough",
            "PortalUrl=http://localhost:3000",
            f"ApiUrl={ENDPOINT}/_aws/execute-api/{{api}}/{STAGE}",
            "GoogleClientId=local",
            f"GoogleIssuer={PROVIDER}",
            "MicrosoftClientId=local",
            f"MicrosoftIssuer={PROVIDER}",
            f"LocalProviders={PROVIDER}",
            f"StripeUrl={STRIPE}",
            f"StripePublishableKey={STRIPE_PUBLISHABLE_KEY}",
            f"ClockFile={CLOCK_FILE}",
        )  # fmt: skip
        gaps.close(client, STACK, STAGE)


def _introduce_payments() -> None:
    """The portal and the payment provider get to know each other; what signs webhooks stays as it was generated."""
    deployed = _described(changed=True)
    secrets = deployed.payment_secrets | {"api_key": STRIPE_API_KEY}
    client("secretsmanager").put_secret_value(
        SecretId=deployed.outputs["PaymentSecretArn"], SecretString=json.dumps(secrets)
    )


def _described(*, changed: bool) -> Deployment:
    stacks = client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}
    return Deployment(outputs, changed)


def _sam(command: str, *arguments: str, **environment: str) -> None:
    log = LOGS / f"{command}.log"
    if command == "build":
        arguments = ("--build-dir", str(APP), *arguments)
    with log.open("w") as output:
        done = subprocess.run(
            [_TOOLS / "sam", command, "--config-file", _CONFIG, "--config-env", "local", *arguments],
            cwd=ROOT,
            env=surroundings() | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        last = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-5:]
        raise Trouble("\n".join([f"sam {command} failed; its log is {log} and ends:", *last]))


def surroundings() -> dict[str, str]:
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


def remember(name: str, value: str) -> None:
    """Keep a note in the cloud itself, so that it is lost and found with the rest."""
    client("ssm").put_parameter(Name=name, Value=value, Type="String", Overwrite=True)


def remembered(name: str) -> str | None:
    ssm = client("ssm")
    try:
        value: str = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    except ssm.exceptions.ParameterNotFound:
        return None
    return value


# Processes in the background. Each holds the lock of its file in `run/` as long as it lives; its number is
# in the file.


def _launch(name: str, command: Sequence[str | Path], variables: dict[str, str]) -> int:
    """Start a process in the background, its output going to its log; returns its number."""
    (HOME / "run").mkdir(parents=True, exist_ok=True)
    with (HOME / "run" / name).open("w") as file, (LOGS / f"{name}.log").open("w") as output:
        fcntl.flock(file, fcntl.LOCK_EX)
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[file.fileno()],
        )
        file.write(str(process.pid))
    return process.pid


def _holds(name: str) -> bool:
    """Whether the process of this name lives."""
    path = HOME / "run" / name
    if not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _end(name: str) -> None:
    """Let the process of this name stop in order, if it lives."""
    if not _holds(name):
        return
    pid = int((HOME / "run" / name).read_text())
    os.kill(pid, signal.SIGTERM)
    if not _within(_STOP_SECONDS, lambda: not _holds(name)):
        raise Trouble(f"The process {pid} ({name}) of the local cloud does not stop.")


def _healthy() -> bool:
    return _answers(f"{ENDPOINT}/_ministack/health")


def _answers(address: str) -> bool:
    try:
        with build_opener(ProxyHandler({})).open(address, timeout=2) as answer:
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
