"""What ``event-gateway listen`` forwards, and how."""
