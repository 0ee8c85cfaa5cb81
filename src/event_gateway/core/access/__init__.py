"""Callers, browser tokens, and the sealing of secrets."""
