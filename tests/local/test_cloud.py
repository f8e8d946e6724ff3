"""The local cloud's commands say in one sentence what the person at the keyboard has to put right."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _run(*arguments: str, port: int, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / ".venv-cloud/bin/python", "-m", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PORT": str(port), "LOCAL_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = _run("local.run", port=port, home=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        f"Port {port} is in use by another program: stop it, or take another: make run PORT={port + 1}\n"
    )


@pytest.mark.parametrize("command", ["local.jobs", "local.month"])
def test_what_needs_the_local_cloud_says_how_to_start_it(command: str, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = _run(command, port=port, home=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "The local cloud is not running: start it with make run.\n"


def test_stopping_what_does_not_run_is_no_failure(tmp_path: Path) -> None:
    done = _run("local.cloud", "stop", port=1, home=tmp_path)
    assert (done.returncode, done.stdout) == (0, "The local cloud is not running.\n")


def test_the_clock_refuses_what_is_no_time(tmp_path: Path) -> None:
    done = _run("local.clock", "tomorrow", port=1, home=tmp_path)
    assert done.returncode == 1
    assert "say 2026-12-24" in done.stderr
    assert not (tmp_path / "clock").exists()


def test_the_clock_moves_and_comes_back(tmp_path: Path) -> None:
    moved = _run("local.clock", "2031-12-24", port=1, home=tmp_path)
    assert moved.stdout.startswith("It is Wednesday, 2031-12-24 00:00:0")
    assert _run("local.clock", port=1, home=tmp_path).stdout.startswith("It is Wednesday, 2031-12-24")
    assert "2031" not in _run("local.clock", "now", port=1, home=tmp_path).stdout
