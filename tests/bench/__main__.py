"""What a distributor's month costs at several sizes: `make bench-billing`."""

from tests.bench import runs

_SIZES = (1_000, 10_000, 100_000)
_LONG_BILL = 20_000
_HEADINGS = ("accounts", "read units", "write units", "calls", "invocations", "peak MB")


def main() -> None:
    print("Billing the month, per account:")
    _row(*_HEADINGS)
    for size in _SIZES:
        _show(size, runs.bill_a_month(size))
    print("Forecasting the next bill by night, per account:")
    _row(*_HEADINGS)
    _show(_LONG_BILL, runs.forecast_a_bill(_LONG_BILL))
    print(f"The documents of a bill with {_LONG_BILL:,} accounts:")
    cost = runs.render_a_bill(_LONG_BILL)
    print(
        f"  PDF {cost.files['pdf'] / 1e6:.1f} MB with {cost.pages} pages, CSV {cost.files['csv'] / 1e6:.1f} MB;"
        f" {cost.processor_seconds:.0f} s of one processor, peak {cost.peak_megabytes:.0f} MB"
    )


def _show(size: int, cost: runs.Cost) -> None:
    units = (f"{count / size:.3f}" for count in (cost.read_units, cost.write_units, cost.calls))
    _row(f"{size:,}", *units, str(cost.invocations), f"{cost.peak_megabytes:.0f}")


def _row(*cells: str) -> None:
    print("".join(f"{cell:>13}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
