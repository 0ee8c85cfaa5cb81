"""What the API counts: connections, requests that were refused, failed logins."""

from event_gateway.observability.metrics import families
from event_gateway.observability.metrics.figures import Figures


class HttpMetrics:
    """Figures of the API's connections; ``admin``: of those to the admin port."""

    def __init__(self, figures: Figures, *, admin: bool = False) -> None:
        self._figures = figures
        self._admin = admin

    def connections(self, http: int, live: int) -> None:
        """Sets the number of open connections."""
        if self._admin:
            self._figures.set(families.HTTP_CONNECTIONS, http, "admin")
            return
        self._figures.set(families.HTTP_CONNECTIONS, http, "http")
        self._figures.set(families.HTTP_CONNECTIONS, live, "live")

    def refused(self, reason: str) -> None:
        """Counts a connection that was refused, or closed to make room."""
        self._figures.add(families.HTTP_REFUSED, reason)

    def timed_out(self, waiting_for: str) -> None:
        """Counts a connection that was closed because its client took too long."""
        self._figures.add(families.HTTP_TIMED_OUT, waiting_for)

    def login_failed(self, reason: str) -> None:
        """Counts a failed login: a credential that is ``wrong``, or ``limited``."""
        self._figures.add(families.FAILED_LOGINS, reason)

    def request_limited(self) -> None:
        """Counts a request beyond what its caller may send."""
        self._figures.add(families.REQUESTS_LIMITED)

    def handshake_failed(self, kind: str) -> None:
        """Counts a TLS handshake that failed."""
        self._figures.add(families.TLS_HANDSHAKES_FAILED, kind)

    def certificate_expires(self, at: float) -> None:
        """Sets when the gateway's own certificate ends, in seconds since the epoch. Without TLS
        there is no such metric."""
        self._figures.set(families.CERTIFICATE_EXPIRY, at)

    def request_refused(self, status: int) -> None:
        """Counts a request that the HTTP layer refused."""
        self._figures.add(families.HTTP_REQUESTS_REFUSED, str(status))
