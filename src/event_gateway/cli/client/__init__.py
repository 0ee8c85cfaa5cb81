"""What the client commands share: HTTP, live events, progress, times."""
