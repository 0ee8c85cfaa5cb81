"""Expressions of PromQL over the gateway's metrics, of the gateways that the variables choose."""

HERE = 'job=~"$job",instance=~"$instance"'
WEBHOOK = 'webhook=~"$webhook"'
WINDOW = "$__rate_interval"


def selector(name: str, where: str = "", scope: str = HERE) -> str:
    """A metric of the gateway, by its name without the prefix, and further conditions."""
    return f"event_gateway_{name}{{{','.join(filter(None, (scope, where)))}}}"


def rate(name: str, *by: str, where: str = "", window: str = WINDOW) -> str:
    """How much a counter grows in a second, over all processes."""
    return f"sum{_by(by)} (rate({selector(name, where)}[{window}]))"


def growth(name: str, *by: str, where: str = "", window: str = WINDOW) -> str:
    """How much a counter has grown in a window."""
    return f"sum{_by(by)} (increase({selector(name, where)}[{window}]))"


def total(name: str, *by: str, where: str = "") -> str:
    """A gauge of which each instance counts its own share."""
    return f"sum{_by(by)} ({selector(name, where)})"


def level(name: str, *by: str, where: str = "") -> str:
    """A gauge that is the same whichever instance reports it."""
    return f"max{_by(by)} ({selector(name, where)})"


def quantile(share: float, histogram: str, *by: str, where: str = "", window: str = WINDOW) -> str:
    """The value that a share of all values in a histogram does not exceed. Without values in the
    window there is none."""
    buckets = rate(f"{histogram}_bucket", "le", *by, where=where, window=window)
    return f"histogram_quantile({share}, {buckets})"


def success_rate(*by: str, where: str = "", window: str = WINDOW) -> str:
    """Successful deliveries / attempts. Without attempts there is no value."""
    succeeded = rate("attempts_total", *by, where=_and(where, 'error_type=""'), window=window)
    attempts = rate("attempts_total", *by, where=where, window=window)
    # No series of successes is not the same as none of attempts: it is a rate of zero.
    return f"(({succeeded}) or 0 * ({attempts})) / (({attempts}) > 0)"


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)})" if labels else ""


def _and(*conditions: str) -> str:
    return ",".join(filter(None, conditions))
