"""Kills the server at random moments while it is told to make and remove jobs, and counts what it has forgotten.

    .venv/bin/python -m bench.kill_jobs [--kills 50] [--seed 1]

Four connections to the JSON door give commands. After each kill (SIGKILL) the server is started again, and its list of jobs is
compared with the answers: a job of which the server had said that it exists must be there, once and under its id; one that
it had said is removed must not.
"""

import random
import sys
import tempfile
from itertools import count
from pathlib import Path

from bench.command import read_options
from bench.report import Goals, print_run
from tests.processes import Children
from tests.service.jobs.killing import Knowledge, command_until_killed, jobs_of, start


def main() -> int:
    """Run the benchmark; the exit status is 1 when a promise was not kept."""
    options = read_options(__doc__, kills=50, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        wrong, answers = kill(Path(folder), options.kills, random.Random(options.seed))
    goals = Goals()
    goals.at_most(f"jobs lost, doubled or returned in {options.kills} kills and {answers} answered commands", wrong, 0)
    goals.print()
    return 1 if goals.missed else 0


def kill(folder: Path, kills: int, chance: random.Random) -> tuple[int, int]:
    """Kill and start again so many times; returns how much was wrong, and the number of answered commands."""
    children, knowledge, numbers, wrong = Children(folder), Knowledge(), count(1), 0
    try:
        server = start(children, folder)
        for number in range(1, kills + 1):
            command_until_killed(server, knowledge, chance, numbers)
            unanswered = len(knowledge.unsure)
            server = start(children, folder)
            problems = knowledge.expect(jobs_of(server))
            wrong += len(problems)
            print_run(kill=number, jobs=len(knowledge.ids), answers=knowledge.answers, unanswered=unanswered, wrong=problems)
        server.stop()
    finally:
        children.stop_all()
    return wrong, knowledge.answers


if __name__ == "__main__":
    sys.exit(main())
