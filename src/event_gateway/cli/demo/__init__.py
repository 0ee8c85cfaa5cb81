"""``event-gateway demo``: a gateway at work, shown live in the terminal."""
