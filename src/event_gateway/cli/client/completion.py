"""What a shell completes: names of contexts."""


def complete_contexts(incomplete: str) -> list[str]:
    """The names of contexts that begin so."""
    from event_gateway.cli.client.contexts import load_contexts

    return [name for name in sorted(load_contexts().by_name) if name.startswith(incomplete)]
