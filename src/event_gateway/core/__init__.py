"""The pure core: events, patterns, filters, webhooks, deliveries, and the decisions about them."""
