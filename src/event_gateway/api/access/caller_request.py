"""What a request tells about its caller."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerRequest:
    """A request whose caller is not known yet. ``headers`` by their names in lower case; ``query``:
    its parameters; ``client``: the address of the client; ``body``: reads the whole body, which is
    bounded, and may be called again."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    client: str
    body: Callable[[], Awaitable[bytes]]

    @property
    def bearer(self) -> str:
        """The credential in ``Authorization: Bearer``, else in ``X-API-Key``; or empty."""
        scheme, _, credential = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return credential.strip()
        return self.headers.get("x-api-key", "")
