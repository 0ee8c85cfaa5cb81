"""Secrets by name: from the environment, from files, or sealed in the registry."""
