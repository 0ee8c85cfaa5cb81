"""Loads a configuration file as the commands do."""

from pathlib import Path

from event_gateway.config.load import load
from event_gateway.config.model import Config
from event_gateway.request.transformations import compile_definition
from event_gateway.transport.egress_guard import url_rule


def loaded(text: str, tmp_path: Path, **environ: str) -> Config:
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    return load(path, environ, transformation_rule=compile_definition, url_rule=url_rule)
