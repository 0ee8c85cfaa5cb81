"""The HTTP server: application, authentication, bodies, errors, lists."""
