"""What the tests share: programs, clients, receivers, generated events."""
