"""Compliance streams that prove themselves: hash chain, anchors, verification, export."""
