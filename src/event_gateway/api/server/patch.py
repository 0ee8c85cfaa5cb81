"""JSON Merge Patch (RFC 7396), in which null takes a member away."""

from typing import Any

MAX_DEPTH = 32  # of objects that are merged; a deeper one takes the former's place whole


def merge_patch(target: Any, patch: Any, depth: int = 0) -> Any:
    """The target as the patch changes it; neither of them is changed itself."""
    if not isinstance(patch, dict) or depth > MAX_DEPTH:
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value, depth + 1)
    return merged
