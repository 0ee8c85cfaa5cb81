"""The web console: pages on which people see what the gateway does, and act.

A process of its own, which is a client of the public API and nothing more: what the key of its
user may not do, the console cannot do. ``docs/development/console.md`` says how to add a page.
"""
