"""What must not get out with an event: passwords, and whatever else gives access."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"

SECRETS = frozenset(("ingestpoint", "key", "password", "privatestreamname", "secret", "token"))
"""Names, in lower case, whose values are never told: ``key`` is that of shutdownServer, ``ingestPoint`` a private name."""

_LOGIN = re.compile(r"(://[^/\s:@]*):[^/\s]*@")


def concealed(value: Any, name: str = "") -> Any:
    """A copy of maps, lists and texts with `HIDDEN` in the place of secrets and of passwords in addresses."""
    if name.lower() in SECRETS and value not in (None, ""):
        return HIDDEN
    if isinstance(value, str):
        return _LOGIN.sub(rf"\1:{HIDDEN}@", value)
    if isinstance(value, Mapping):
        return {key: concealed(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [concealed(item) for item in value]
    return value
