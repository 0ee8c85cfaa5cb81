"""JSON Merge Patch (RFC 7396), in which null removes a member."""

from typing import Any

MAX_DEPTH = 32  # of objects that are merged; a deeper object replaces the former one as a whole


def merge_patch(target: Any, patch: Any, depth: int = 0) -> Any:
    """A copy of the target with the patch applied."""
    if not isinstance(patch, dict) or depth > MAX_DEPTH:
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value, depth + 1)
    return merged
