"""WebhookRegistration of webhooks and streams, and verification of receivers."""
