"""Definitions as the configuration file has them."""

from collections.abc import Mapping
from typing import Any

import yaml


def as_yaml(section: str, name: str, members: Mapping[str, Any]) -> str:
    """The YAML of one definition. ``section``: such as ``webhooks``; ``members``: without the one
    that has the name."""
    return str(
        yaml.safe_dump(
            {section: {name: dict(members)}}, sort_keys=False, allow_unicode=True, width=100
        )
    )
