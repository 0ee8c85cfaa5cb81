"""The Grafana dashboards in ``deploy/grafana``: ``python -m dashboards`` writes them."""
