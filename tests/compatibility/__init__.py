"""Runs tests over several versions of NATS, Redis and Python."""
