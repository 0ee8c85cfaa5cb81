"""From a message of the log to an event: decode, admit, enrich.

This package is below the stages, because several of them need it and stages do not import each
other: the router and repair, ordered webhooks and replays, the hub of live subscribers, and the
due loop, which reads stored events again.
"""
