"""The transformations that webhooks may use: the built-in ones, and those of the configuration."""

from collections.abc import Callable, Iterable

import msgspec
import structlog

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.transformation.definition import TransformationDefinition
from event_gateway.request.transformations.built_in import BY_NAME, compile_definition
from event_gateway.request.transformations.functions import FunctionTransformation
from event_gateway.request.transformations.pending_body import Transformation

log = structlog.get_logger(__name__)

_encode = msgspec.json.Encoder().encode


class NamedTransformation(msgspec.Struct, frozen=True):
    """A transformation. Bodies are shared by ``key``, which no other transformation has, not even
    an earlier one of the same name."""

    key: str
    transform: Transformation


class Transformations:
    """The transformations of one process. ``generation`` changes with each :meth:`load`.

    ``on_fallback`` is called with the name of a missing transformation for each body for which
    ``standard`` is used in its place.
    """

    def __init__(
        self,
        definitions: Iterable[TransformationDefinition] = (),
        *,
        on_fallback: Callable[[str], None],
    ) -> None:
        """Raises InvalidDefinition."""
        self.generation = 0
        self.on_fallback = on_fallback
        self._definitions: dict[str, TransformationDefinition] = {}
        self._built_in = {
            name: NamedTransformation(name, transform) for name, transform in BY_NAME.items()
        }
        self._available = dict(self._built_in)
        self._warned: set[str] = set()
        self.load(definitions)

    @property
    def names(self) -> frozenset[str]:
        """The names that a webhook may use."""
        return frozenset(self._available)

    def find(self, name: str) -> NamedTransformation | None:
        """The transformation of a name; None if there is none."""
        return self._available.get(name)

    def fallback(self, name: str) -> NamedTransformation:
        """The transformation to use in place of a missing one."""
        if name not in self._warned:
            self._warned.add(name)
            log.warning("transformation is missing, standard is used in its place",
                        transformation=name)  # fmt: skip
        return self._available["standard"]

    def load(self, definitions: Iterable[TransformationDefinition]) -> None:
        """Replaces the configured transformations, all or none; unchanged ones are kept.

        Raises InvalidDefinition.
        """
        configured = {definition.name: definition for definition in definitions}
        changed: dict[str, Transformation] = {}
        for name, definition in configured.items():
            try:
                if _encode(definition) != _encode(self._definitions.get(name)):
                    changed[name] = compile_definition(definition)
            except InvalidDefinition as error:
                key = "" if error.key == "name" else f".{error.key}"
                raise InvalidDefinition(f"transformations.{name}{key}", error.detail) from None
        previous, available = self._available, dict(self._built_in)
        self.generation += 1
        for name in configured:
            available[name] = (
                NamedTransformation(f"{name}#{self.generation}", changed[name])
                if name in changed
                else previous[name]
            )
        self._definitions, self._available = configured, available
        self._warned.clear()
        for name, replaced in previous.items():
            if available.get(name) is not replaced and isinstance(
                replaced.transform, FunctionTransformation
            ):
                replaced.transform.close()
