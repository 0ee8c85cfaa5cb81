"""Access: principals, browser tokens, and the encryption of secrets."""
