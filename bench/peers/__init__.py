"""Other programs that deliver webhooks, given the same work as the gateway. None of them is in this
repository, and nothing of their code: they are driven by their documented HTTP APIs."""
