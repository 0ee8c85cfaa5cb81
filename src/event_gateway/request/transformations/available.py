"""The transformations in force: the built-in ones, and those of the configuration file."""

from collections.abc import Callable, Iterable

import msgspec
import structlog

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.transformation.definition import BUILT_IN, TransformationDefinition
from event_gateway.core.transformation.template import compile_template
from event_gateway.request.transformations.analytics import PLATFORM, analytics_of
from event_gateway.request.transformations.cef import cef_format
from event_gateway.request.transformations.crm import crm_format
from event_gateway.request.transformations.functions import FunctionTransformation, found
from event_gateway.request.transformations.pending_body import Transformation
from event_gateway.request.transformations.siem import siem_format
from event_gateway.request.transformations.standard import standard

log = structlog.get_logger(__name__)

_encode = msgspec.json.Encoder().encode
_BUILT_IN: dict[str, Transformation] = {
    "standard": standard,
    "analytics_format": analytics_of(),
    "crm_format": crm_format,
    "siem_format": siem_format,
}
assert tuple(_BUILT_IN) == BUILT_IN


def compiled(definition: TransformationDefinition) -> Transformation:
    """What a definition does. Raises InvalidDefinition; imports the module of a function."""
    for problem in definition.problems():
        raise problem
    if definition.python is not None:
        return FunctionTransformation(found(definition.python), definition.content_type)
    if definition.template is not msgspec.UNSET:
        return compile_template(definition.template, definition.content_type)
    assert definition.base is not None
    if definition.format == "cef":
        return cef_format
    if definition.platform not in (None, PLATFORM):
        return analytics_of(definition.platform)
    return _BUILT_IN[definition.base]


class NamedTransformation(msgspec.Struct, frozen=True):
    """A transformation; ``key`` tells what it makes from what any other one makes, or made."""

    key: str
    transform: Transformation


class Transformations:
    """Those of one process. ``generation`` changes whenever one of them may have changed.

    ``on_fallback`` is called with the name of a missing transformation for each body that is made
    as ``standard`` in its place.
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
        self._in_force = {name: NamedTransformation(name, one) for name, one in _BUILT_IN.items()}
        self._warned: set[str] = set()
        self.load(definitions)

    @property
    def names(self) -> frozenset[str]:
        """What a webhook may name."""
        return frozenset(self._in_force)

    def of(self, name: str) -> NamedTransformation | None:
        """The one of that name."""
        return self._in_force.get(name)

    def instead_of(self, name: str) -> NamedTransformation:
        """What takes the place of one that is not there."""
        if name not in self._warned:
            self._warned.add(name)
            log.warning("the transformation is not there any more, standard takes its place",
                        transformation=name)  # fmt: skip
        return self._in_force["standard"]

    def load(self, definitions: Iterable[TransformationDefinition]) -> None:
        """Takes up the definitions in the place of the former ones, all or none; those that are
        as they were go on. Raises InvalidDefinition."""
        wanted = {one.name: one for one in definitions}
        changed: dict[str, Transformation] = {}
        for name, one in wanted.items():
            try:
                if _encode(one) != _encode(self._definitions.get(name)):
                    changed[name] = compiled(one)
            except InvalidDefinition as error:
                key = "" if error.key == "name" else f".{error.key}"
                raise InvalidDefinition(f"transformations.{name}{key}", error.detail) from None
        former, kept = self._in_force, {name: self._in_force[name] for name in _BUILT_IN}
        self.generation += 1
        for name in wanted:
            kept[name] = (
                NamedTransformation(f"{name}#{self.generation}", changed[name])
                if name in changed
                else former[name]
            )
        self._definitions, self._in_force = wanted, kept
        self._warned.clear()
        for name, before in former.items():
            if kept.get(name) is not before and isinstance(
                before.transform, FunctionTransformation
            ):
                before.transform.close()
