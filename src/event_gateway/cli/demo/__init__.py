"""``event-gateway demo``: the whole main job, live in a terminal."""
