"""A rolling upgrade: gateways of an earlier version and of this one side by side, under load."""
