"""What the benchmarks' commands have in common: their options, and servers that take turns."""

import argparse
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.report import print_run

HELP = {
    "reactor": "Twisted reactor of our server",
    "rounds": "how often everything is measured; medians count",
    "seconds": "how long each run is measured",
}
"""What options of the same name mean everywhere."""


def read_options(description: str | None, **defaults: Any) -> argparse.Namespace:
    """The options of the command line, one for each of the defaults and of its type.

    A list takes several values; one of words takes only those of its default.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in defaults.items():
        meaning: dict[str, Any] = {"default": default, "help": HELP.get(name)}
        if isinstance(default, list):
            words = isinstance(default[0], str)
            parser.add_argument(f"--{name}", type=type(default[0]), nargs="+", choices=default if words else None, **meaning)
        else:
            parser.add_argument(f"--{name}", type=type(default), **meaning)
    return parser.parse_args()


def take_turns(
    options: argparse.Namespace,
    what: str,
    measure: Callable[[str, Path, int], dict[str, Any]],
    folders: Path | None = None,
) -> list[dict[str, Any]]:
    """Measure each of `options.servers` with each number of the option `what`, as often as `options.rounds` says.

    `measure` gets the server's name, a fresh folder (in `folders`, when that is given) and the number. Its runs are printed as
    they end; those that came about are returned.
    """
    runs: list[dict[str, Any]] = []
    counts: Iterable[int] = getattr(options, what)
    for round_number in range(options.rounds):
        for count in counts:
            for name in options.servers:
                run: dict[str, Any] = {"server": name, what: count, "round": round_number}
                try:
                    with tempfile.TemporaryDirectory(dir=folders) as folder:
                        run |= measure(name, Path(folder), count)
                    runs.append(run)
                except AssertionError as error:
                    # The machine was too busy for this run: the others count.
                    run["failed"] = str(error)
                print_run(**run)
    return runs
