"""NATS JetStream: the log, its streams, the registry."""
