"""Compliance streams: chains, anchors, exports, holds, the check that they only grow."""
