"""A crash at any moment: every job of which I was told is there afterwards, and none is there twice."""

import random
from itertools import count
from pathlib import Path

from tests.processes import Children
from tests.service.jobs.killing import Knowledge, command_until_killed, jobs_of, start

KILLS = 6


def test_killing_the_server_loses_no_job(children: Children, tmp_path: Path) -> None:
    """The server is killed six times in the midst of commands; each time all answered jobs are there after the restart."""
    chance, knowledge, numbers = random.Random(6), Knowledge(), count(1)
    server = start(children, tmp_path)
    for _ in range(KILLS):
        command_until_killed(server, knowledge, chance, numbers)
        server = start(children, tmp_path)
        assert knowledge.expect(jobs_of(server)) == []
    server.stop()
    assert knowledge.answers >= KILLS
    assert [*tmp_path.glob("pushPullSetup.xml.[0-9]*")] == []
