"""The keys that let programs in, each with the name that owns what is made with it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from pydantic import SecretStr

from agent_app.http.kept import Kept
from agent_app.settings import SettingsError
from agent_app.state.tables import ANONYMOUS

SHORTEST_KEY = 20

Read = Callable[[], Awaitable[Mapping[str, SecretStr]]]


class ApiKeys:
    """The keys by their SHA-256, read from the secret again now and then, so that it can be rotated."""

    def __init__(self, read: Read, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._names: Kept[Mapping[bytes, str]] = Kept("the API keys", self._by_digest, seconds, clock)

    async def load(self) -> None:
        """Reads the keys.

        Raises:
            SettingsError: there is none, or one is too short to be safe, or its name is not a key's.
            SecretError: the secret cannot be read.
        """
        await self._names.load()

    async def owner(self, key: str) -> str | None:
        """The name of the key; None if there is no such key."""
        found = await self.known(key)
        if found is None:
            # It may be a new one.
            found = (await self._names.again() or {}).get(_digest(key))
        return found

    async def known(self, key: str) -> str | None:
        """The same, of the keys that are known already."""
        return (await self._names.get() or {}).get(_digest(key))

    async def _by_digest(self) -> Mapping[bytes, str]:
        # Two of one name, with a space between, both hold: so the name's key is changed without a gap.
        keys = {name: text.get_secret_value().split() for name, text in (await self._read()).items()}
        if wrong := _wrong(keys):
            raise SettingsError(
                f"AGENT_APP_API_KEYS_SECRET_ARN names the API keys, but {wrong}: it must be a JSON object of "
                f"names and keys of {SHORTEST_KEY} characters or more."
            )
        return {_digest(key): name for name, held in keys.items() for key in held}


def _wrong(keys: Mapping[str, Sequence[str]]) -> str | None:
    if not keys:
        return "it holds no key"
    short = sorted(name for name, held in keys.items() if len(min(held, key=len, default="")) < SHORTEST_KEY)
    if short:
        return f"the keys of {', '.join(short)} are shorter"
    # With a colon a name could be that of somebody with a token.
    misnamed = sorted(name for name in keys if ":" in name or not name.isprintable() or name == ANONYMOUS)
    if misnamed:
        return f"{', '.join(map(repr, misnamed))} cannot be a key's name (a colon, or {ANONYMOUS!r})"
    return None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
