"""How the benchmarks print: a line of JSON for each run as it ends, then tables of medians and the figures to reach."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def print_run(**values: Any) -> None:
    """One run as a line of JSON, numbers to four significant digits."""
    rounded = {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in values.items()}
    print(json.dumps(rounded), flush=True)


def print_table(rows: Sequence[Sequence[object]]) -> None:
    """Rows of cells in columns, the first row being the heads."""
    cells = [[f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    print()
    for row in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def median(runs: Iterable[Mapping[str, Any]], key: str) -> float:
    """The median of one value over several runs."""
    return float(statistics.median(run[key] for run in runs))


class Goals:
    """The figures to reach, each with what was measured; `missed` counts those that were not reached."""

    def __init__(self) -> None:
        self.missed = 0
        self._lines: list[str] = []

    def at_most(self, what: str, measured: float, limit: float, unit: str = "") -> None:
        """Note a figure that should not pass a limit."""
        reached = measured <= limit
        self.missed += not reached
        verdict = "reached" if reached else "MISSED "
        self._lines.append(f"{verdict}  {what}: {measured:.3g}{unit} (at most {limit:g}{unit})")

    def print(self) -> None:
        """Print all, in the order in which they were noted."""
        print()
        print("\n".join(self._lines), flush=True)
