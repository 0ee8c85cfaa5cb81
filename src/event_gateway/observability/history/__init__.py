"""The history: what the gateway counts, in steps of time, for charts."""
