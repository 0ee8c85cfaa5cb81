"""Named streams, where a subscription starts, and what a subscriber asks for."""
