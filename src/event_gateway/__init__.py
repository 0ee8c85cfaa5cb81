"""The Event Gateway: CloudEvents from NATS and HTTP to webhooks and live subscribers."""

__version__: str


def __getattr__(name: str) -> str:
    """The package's version, which costs the command line a tenth of a second to read."""
    if name != "__version__":
        raise AttributeError(name)
    from importlib.metadata import version

    return version("event-gateway")
