"""What the operating system says of a process: the processor time it has used and the memory it holds."""

import statistics
import time
from pathlib import Path

SAMPLE_SECONDS = 0.2


def cpu_seconds(process_id: int) -> float:
    """Processor time of all threads of a process, user and system, to the nanosecond (`/proc/PID/task/*/schedstat`)."""
    tasks = Path(f"/proc/{process_id}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def resident_bytes(process_id: int) -> int:
    """Memory that a process holds in user space (``VmRSS``): what the kernel holds for its sockets is not in it."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise ProcessLookupError(f"process {process_id} has no memory")


def usual_resident_bytes(process_id: int, seconds: float) -> float:
    """The median of `resident_bytes` over some seconds.

    A server keeps the frames since the last key frame, so its memory rises and falls by megabytes in a few seconds; a single
    look, divided by the number of players, would show that and not what a player costs.
    """
    samples = []
    for _ in range(round(seconds / SAMPLE_SECONDS)):
        samples.append(resident_bytes(process_id))
        time.sleep(SAMPLE_SECONDS)
    return statistics.median(samples)
