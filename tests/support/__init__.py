"""Modules that tests share: programs, clients, receivers, generated events."""
