"""Only a lane changes its own fields; other modules read them and call its methods."""

import ast

from event_gateway.delivery.lane import Lane
from support.source_code import modules_with

CHANGING = {"append", "appendleft", "clear", "extend", "pop", "popleft", "remove"}


def _changes(code: ast.Module) -> list[int]:
    """Lines that assign to a field of something called ``lane``, or change its backlog."""
    lines = []
    for node in ast.walk(code):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            field = node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if node.func.attr not in CHANGING or not isinstance(owner, ast.Attribute):
                continue
            if owner.attr != "backlog":
                continue
            field = owner
        else:
            continue
        owned = ast.unparse(field.value).split(".")[-1].lstrip("_")
        if owned == "lane" and field.attr in Lane.__slots__:
            lines.append(node.lineno)
    return sorted(lines)


def test_only_a_lane_changes_its_fields() -> None:
    result = {
        str(path): lines
        for path, module in modules_with("lane")
        if path.name != "lane.py" and (lines := _changes(module))
    }
    assert not result, result


def test_changes_from_outside_are_detected() -> None:
    code = """
lane.failures = 0
lane.in_flight += 1
self._lane.tripped, job.started = True, 0.0
del lane.limits
lane.backlog.append(job)
lane.trip()
first = lane.backlog[0]
job.started = 0.0
lane.slot_freed.set()
"""
    assert _changes(ast.parse(code)) == [2, 3, 4, 5, 6]
