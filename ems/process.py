"""What the operating system has to grant the process before and after the server starts, whoever starts it."""

import gc
import resource
from contextlib import suppress


def raise_file_limit() -> int:
    """Raise the number of files and sockets this process may open to what the system allows at most, and return it.

    Every connection costs one descriptor, and the usual soft limit of 1024 would be the first limit a busy server meets.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A container may report a hard limit that it then refuses; what is granted already stays.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def spare_collector() -> None:
    """Take everything that start-up has made out of the garbage collector's sight: modules and classes live as long as the
    process, and walking them is most of what a full collection costs."""
    gc.collect()
    gc.freeze()
