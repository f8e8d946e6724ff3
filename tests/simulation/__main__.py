"""Live a year and compare every bill with the oracle's: python -m tests.simulation --seed 1 --start 2027-02-27 --days 800"""

import tests.conftest  # noqa: F401, I001 - first: it sets the environment in which the portal's settings are read

import argparse
import logging
import os
import sys
import time
import warnings
from datetime import date

from tests.simulation.year import Sizes, simulate


def main(arguments: list[str]) -> str | None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description=(__doc__ or "").partition(":")[0]
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=date.fromisoformat, default=date(2023, 1, 10))
    parser.add_argument("--days", type=int, default=400)
    parser.add_argument("--distributors", type=int, default=Sizes.distributors)
    parser.add_argument(
        "--accounts", type=int, default=Sizes.accounts, help="of each distributor in the beginning"
    )
    wanted = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    # Of invocations that die before they have anything to say.
    warnings.filterwarnings("ignore", "No application metrics to publish")
    began, out = time.monotonic(), os.fdopen(os.dup(sys.stdout.fileno()), "w")
    # What the functions write for CloudWatch is of no interest here.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sizes = Sizes(wanted.distributors, wanted.accounts, most_accounts=2 * wanted.accounts)
    report = simulate(wanted.seed, wanted.start, wanted.days, sizes)
    for line in report.lines():
        print(line, file=out)
    print(f"seconds {time.monotonic() - began:.0f}", file=out, flush=True)
    return "\n".join(report.comparison.differences[:40]) or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
