"""The request that a receiver gets: body, headers, authentication."""
