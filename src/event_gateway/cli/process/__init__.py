"""The processes of a gateway: serve, workers, signals, limits, logs."""
