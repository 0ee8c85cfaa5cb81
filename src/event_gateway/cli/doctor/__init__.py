"""``event-gateway doctor``: what is wrong with an installation, looked at from outside."""
