"""The webhook, its policies, and its deliveries with the decision after each attempt."""
