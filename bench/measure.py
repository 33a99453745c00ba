"""What the operating system says of a process: the processor time it has used and the memory it holds."""

from pathlib import Path


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
