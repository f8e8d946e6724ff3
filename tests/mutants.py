"""The mutation score of what money is computed with: how many small faults, planted one at a time, its tests notice.

For one module after the other `make mutants` copies the packages and the module's tests into `.local/mutants`, lets mutmut
plant and look, and prints the score; `python -m tests.mutants billing/rules periods` does it for these only. A mutant that
ends in an endless loop is noticed too. One that only words a sentence otherwise is no fault: those are counted apart,
whether noticed or not.
"""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
STAGE = ROOT / ".local/mutants"
LEAST = 90
"""Percent, of every module."""

MODULES = (
    "billing/rules",
    "billing/prices",
    "billing/credits",
    "billing/guard_rails",
    "billing/usage",
    "billing/rating",
    "payments/rules",
    "periods",
    "money",
)
"""What is mutated, below `portal`."""

_NO_WORLD = re.compile(r"^(?!.*\b(World|world|Harness|harness)\b)", re.DOTALL)


def tests_of(module: str) -> list[str]:
    """Who may notice: the tests of the module's package that need no world, which take milliseconds."""
    package, _, name = module.rpartition("/")
    found = sorted((ROOT / "tests/portal" / package).glob("test_*.py" if package else f"test_{name}.py"))
    return [str(path.relative_to(ROOT)) for path in found if _NO_WORLD.match(path.read_text())]


_CONFIGURATION = """\
[tool.mutmut]
source_paths = ["src"]
also_copy = ["local", "template.yaml"]
only_mutate = {only}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist"]
pytest_add_cli_args_test_selection = {tests}
use_git_change_detection = false
track_dependencies = false

[tool.pytest.ini_options]
pythonpath = ["functions", "src", "."]
addopts = "--import-mode=importlib"
"""

_PROFILE = """

from hypothesis import settings as _hypothesis

_hypothesis.register_profile("mutants", derandomize=True, database=None, deadline=None, max_examples=50)
_hypothesis.load_profile("mutants")
"""


def stage(module: str) -> None:
    """Lay out what mutmut wants: the packages below `src`, and the tests as they are."""
    shutil.rmtree(STAGE, ignore_errors=True)
    no_bytecode = shutil.ignore_patterns("__pycache__")
    for source, to in (("layers/portal/portal", "src/portal"), ("tests", "tests"), ("local", "local")):
        shutil.copytree(ROOT / source, STAGE / to, ignore=no_bytecode)
    shutil.copy(ROOT / "template.yaml", STAGE)
    with (STAGE / "tests/conftest.py").open("a") as conftest:
        conftest.write(_PROFILE)
    only, tests = json.dumps([f"src/portal/{module}.py"]), json.dumps(tests_of(module))
    (STAGE / "pyproject.toml").write_text(_CONFIGURATION.format(only=only, tests=tests))


def outcomes(module: str) -> dict[str, str]:
    """By mutant, as `mutmut show` takes it: `killed`, `survived`, `timeout`, `no tests` ..."""
    said = _mutmut("results", "--all", "true", stdout=subprocess.PIPE).stdout
    found = re.findall(r"^\s*(\S+): (.+?)\s*$", said, re.MULTILINE)
    package = f"portal.{module.replace('/', '.')}."
    return {
        name: outcome for name, outcome in found if re.fullmatch(r"x[_\u01c1].*", name.removeprefix(package))
    }


def reworded(module: str) -> set[str]:
    """The module's mutants in which only the wording of a sentence differs: a text in which there is a space."""
    tree = ast.parse((STAGE / f"mutants/src/portal/{module}.py").read_text())
    # The name that each function goes by, without the number of the mutant.
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    package = f"portal.{module.replace('/', '.')}."
    return {
        f"{package}{name}"
        for name, node in functions.items()
        if (numbered := re.fullmatch(r"(.+__mutmut_)\d+", name))
        and _unworded(node) == _unworded(functions[f"{numbered[1]}orig"])
    }


class _Unworded(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        is_sentence = isinstance(node.value, str) and " " in node.value
        return ast.Constant("a sentence") if is_sentence else node


def _unworded(function: ast.FunctionDef) -> list[str]:
    return [ast.dump(_Unworded().visit(each)) for each in (function.args, *function.body)]


def _mutmut(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, cwd=STAGE, check=True, text=True, **options)


def main(modules: Sequence[str]) -> int:
    failed = False
    for module in modules:
        stage(module)
        _mutmut("run", "--max-children", "1", stdout=subprocess.DEVNULL)
        found, apart = outcomes(module), reworded(module)
        counts = Counter(outcome for name, outcome in found.items() if name not in apart)
        score = 100 * (counts["killed"] + counts["timeout"]) / counts.total()
        failed = failed or score < LEAST
        print(f"{score:5.1f} %  {module}  {dict(counts)}, reworded {len(apart)}", flush=True)
        for name, outcome in found.items():
            if outcome not in ("killed", "timeout") and name not in apart:
                shown = _mutmut("show", name, stdout=subprocess.PIPE).stdout
                changed = [line for line in shown.splitlines() if re.match(r"[-+](?![-+])", line)]
                print(f"         {name}: {outcome}", *changed, sep="\n           ", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or MODULES))
