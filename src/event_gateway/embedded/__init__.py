"""NATS and Valkey as child processes of the gateway."""
