"""A local cloud of the tests' own: built and deployed like any other, on a free port, in a temporary
folder."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_SECONDS = 400
_WIDTH = 20
"""Of the names of the figures that a month prints."""


@dataclass(frozen=True)
class LocalCloud:
    home: Path
    port: int

    def run(self, *arguments: str) -> str:
        """Run `python` with these arguments in the local cloud's environment; returns what it printed."""
        done = subprocess.run(
            [ROOT / ".venv-cloud/bin/python", *arguments],
            cwd=ROOT,
            env=self.surroundings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{arguments} exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @property
    def surroundings(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR") if name in os.environ}
        kept |= {name: text for name, text in os.environ.items() if name.startswith("PIP_")}
        return kept | {"PORT": str(self.port), "LOCAL_HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"}

    def outputs(self) -> dict[str, str]:
        """The template's outputs, and the API's address."""
        tell = (
            "import json; from local import cloud; d = cloud.deployment();"
            " print(json.dumps({**d.outputs, 'Api': d.api_url + '/v1', 'Endpoint': cloud.ENDPOINT}))"
        )
        outputs: dict[str, str] = json.loads(self.run("-c", tell))
        return outputs


@pytest.fixture(scope="session")
def local_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """The real template, deployed and running; whoever uses it belongs to the xdist group `local_cloud`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cloud = LocalCloud(tmp_path_factory.mktemp("local-cloud"), port)
    try:
        cloud.run("-m", "local.cloud", "up")
        yield cloud
    finally:
        cloud.run("-m", "local.cloud", "stop")


@pytest.fixture(scope="session")
def month(local_cloud: LocalCloud) -> dict[str, str]:
    """A month was played; the figures that it printed, by name. It fails on any difference."""
    printed = local_cloud.run("-m", "local.month", "--partners", "2", "--accounts", "12", "--seed", "3")
    lines = [line for line in printed.splitlines() if not line.endswith(" s")]
    return {line[:_WIDTH].strip(): line[_WIDTH:].strip() for line in lines}
