"""Who may publish over RTMP: the decision about each ``connect`` call.

A player connects with the same call as a publisher, and an encoder logs in only when ``connect`` itself is refused. So who
looks like an encoder is asked to log in, anybody else comes in as a player, and a player that publishes all the same is told
that it has to log in. What encoders look like: ``flashVer`` begins with FMLE/ or Wirecast/, or ``type`` is ``nonprivate``; that
is true of ffmpeg, OBS, GStreamer, librtmp and everything that claims to be Flash Media Live Encoder. With ``authenticatePlay``
everybody is asked.
"""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from ems.config import ConfigError, RtmpAuthentication
from ems.config.store import Store
from ems.config.variant import VariantError
from ems.config.variant_xml import read_variant, write_variant
from ems.errors import CommandError
from ems.security import adobe
from ems.security.adobe import Credentials, read_credentials
from ems.security.attempts import Challenges, Throttle
from ems.security.users import MAX_NAME, Password, UsersFile, same

ENCODERS = ("fmle/", "wirecast/")
"""How the flashVer of a publishing program begins, in lower case."""

PUBLISHING_TYPE = "nonprivate"
"""The `type` that encoders put into their connect object, and players leave out."""


class Verdict(NamedTuple):
    """What becomes of a connect call: let in, with or without the right to publish, or refused.

    `refusal` is the description to refuse with, empty for who is let in; `reason` is for the log. The answer is to be given
    after `delay` seconds.
    """

    may_publish: bool = False
    refusal: str = ""
    reason: str = ""
    delay: float = 0.0


VISITOR = Verdict()
"""Let in, without the right to publish where that has to be earned: the same object for all of them."""


class RtmpGate(Service):
    """RTMP authentication: the switch that ``auth.xml`` keeps, the users, and the verdict on each client.

    Without `settings`, the table ``authentication.rtmp`` of the configuration, and the `users` it names, nobody is ever asked.
    """

    name = "rtmp-authentication"
    log = Logger()

    def __init__(self, clock: IReactorTime, settings: RtmpAuthentication | None, users: UsersFile | None, switch: Store) -> None:
        self.challenges = Challenges(clock.seconds)
        self.throttle = Throttle(clock.seconds)
        self._settings = settings
        self._users = users
        self._switch = switch
        self._on = False
        self._secret = secrets.token_bytes(32)

    @property
    def closed(self) -> bool:
        """True when publishers have to log in."""
        return self._on and self._settings is not None and self._users is not None

    def startService(self) -> None:
        """Read the switch; a missing auth.xml is off, one that cannot be read leaves publishers outside."""
        super().startService()
        stored = self._switch.load(_read_switch)
        self._on = self._switch.damaged if stored is None else stored
        if self.closed and self._users is not None:
            # What is wrong with the file is logged now; it may be right before the first publisher comes.
            with suppress(ConfigError):
                self._users.current()

    async def stopService(self) -> None:
        super().stopService()
        await self._switch.flush()

    async def switch(self, on: bool) -> None:
        """Turn authentication on or off, for all connections that come and for publishing on those that are there.

        Returns when that is on the disk, or the log tells why it is not. Raises `CommandError` when nobody could log in for want
        of users.
        """
        if on and self._settings is None:
            raise CommandError("there is no authentication.rtmp in the configuration: nobody could log in")
        self._on = on
        self.log.info("RTMP authentication is {state}", state="on" if on else "off")
        await self._switch.save(write_variant(on))

    def judge(self, app: str, properties: Mapping[str, Any], host: str) -> Verdict:
        """The verdict on a client at `host` that calls connect with these properties, `app` among them as it was sent."""
        if not self.closed:
            # Should the switch be turned on, whoever came before has not logged in.
            return VISITOR
        credentials = read_credentials(app)
        if self._has_token(credentials):
            return Verdict(may_publish=True)
        if credentials.scheme == "adobe" and credentials.user:
            return self._verify(credentials, host) if credentials.response else self._challenge(credentials.user, host)
        assert self._settings is not None
        if looks_like_publisher(properties) or self._settings.authenticate_play:
            return Verdict(refusal=adobe.NEED_AUTHENTICATION, reason="it has to log in")
        return VISITOR

    def _has_token(self, credentials: Credentials) -> bool:
        assert self._settings is not None
        return bool(self._settings.token) and same(credentials.token, self._settings.token)

    def _challenge(self, user: str, host: str) -> Verdict:
        if len(user) > MAX_NAME:
            return Verdict(refusal=adobe.FAILED, reason="its user name is too long")
        salt = self._salt(user)
        opaque = self.challenges.issue(user, salt, host)
        return Verdict(refusal=adobe.challenge_description(user, salt, opaque, opaque), reason=f"challenged as {user!r}")

    def _salt(self, user: str) -> str:
        """The user's salt; one that is as constant for users that do not exist, so that nobody can tell which do."""
        try:
            password = self._password(user)
        except ConfigError:
            password = None
        stored = password.salt if password is not None else ""
        return stored or adobe.salt_for(user, self._secret)

    def _password(self, user: str) -> Password | None:
        """The user's password, None for a user who does not exist. Raises `ConfigError` while the file cannot be used."""
        assert self._users is not None
        return self._users.current().passwords.get(user)

    def _verify(self, credentials: Credentials, host: str) -> Verdict:
        delay = self.throttle.charge(host)
        if delay is None:
            return Verdict(refusal=adobe.FAILED, reason="too many failed logins", delay=Throttle.MAX_DELAY)
        failure = self._failure(credentials)
        if failure:
            return Verdict(
                refusal=adobe.FAILED, reason=f"login of {credentials.user[:MAX_NAME]!r} failed: {failure}", delay=delay
            )
        self.throttle.succeeded(host)
        return Verdict(may_publish=True, delay=delay)

    def _failure(self, credentials: Credentials) -> str:
        """Why a response is wrong, for the log only; empty when it is right."""
        challenge = self.challenges.take(credentials.opaque, credentials.user)
        if challenge is None:
            return "it answers no challenge that is open"
        try:
            password = self._password(credentials.user)
        except ConfigError:
            return "the users cannot be read"
        salted = password.salted_with(challenge.salt) if password is not None else ""
        right = same(credentials.response, adobe.expected_response(salted, credentials.opaque, credentials.challenge))
        if password is None:
            return "there is no such user"
        return "" if right else "wrong password"


def looks_like_publisher(properties: Mapping[str, Any]) -> bool:
    """Whether a connect object is that of a program that is going to publish."""
    flash_version = properties.get("flashVer")
    if isinstance(flash_version, str) and flash_version.lower().startswith(ENCODERS):
        return True
    return properties.get("type") == PUBLISHING_TYPE


def _read_switch(content: bytes) -> bool:
    value = read_variant(content)
    if not isinstance(value, bool):
        raise VariantError(f"expected a BOOL, got a {type(value).__name__}")
    return value
