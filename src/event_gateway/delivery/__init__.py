"""Delivery: attempts, retries, dead letters."""
