"""CloudEvents 1.0.2: the event, its attributes, and its formats on the wire."""
