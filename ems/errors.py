"""The three ways in which things go wrong, so that each can be answered in one place.

`RemoteProtocolError`
    The peer broke its protocol: its connection closes, one log line says why, nothing else notices.
`LocalProtocolError`
    We were about to break it ourselves: a bug, logged with a traceback.
`CommandError`
    The caller of the runtime API made a mistake and is told in words.
"""


class RemoteProtocolError(Exception):
    """The peer sent something that its protocol forbids or that passes one of our limits."""


class MalformedData(RemoteProtocolError):
    """Bytes that cannot be what they claim to be: a codec header, a container, a serialised value."""


class LocalProtocolError(Exception):
    """Our own code asked a protocol machine for something that its state does not allow."""


class CommandError(Exception):
    """A command of the runtime API that cannot be carried out; the text is the answer's description."""
