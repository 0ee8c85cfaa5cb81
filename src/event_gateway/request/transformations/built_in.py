"""The built-in transformations by name, and how a definition in the configuration is compiled.

A new built-in transformation is a module with a function, an entry here, and its name in
:data:`event_gateway.core.transformation.definition.BUILT_IN`: docs/development/how-to-add.md.
"""

import msgspec

from event_gateway.core.transformation.definition import BUILT_IN, TransformationDefinition
from event_gateway.core.transformation.template import compile_template
from event_gateway.request.transformations.analytics import PLATFORM, analytics_of
from event_gateway.request.transformations.cef import cef_format
from event_gateway.request.transformations.crm import crm_format
from event_gateway.request.transformations.functions import FunctionTransformation, load_function
from event_gateway.request.transformations.pending_body import Transformation
from event_gateway.request.transformations.siem import siem_format
from event_gateway.request.transformations.standard import standard

BY_NAME: dict[str, Transformation] = {
    "standard": standard,
    "analytics_format": analytics_of(),
    "crm_format": crm_format,
    "siem_format": siem_format,
}
assert tuple(BY_NAME) == BUILT_IN, "the core names the transformations that are built in"


def compile_definition(definition: TransformationDefinition) -> Transformation:
    """The transformation that a definition describes; imports the module of a function.

    Raises InvalidDefinition.
    """
    for problem in definition.problems():
        raise problem
    if definition.python is not None:
        return FunctionTransformation(load_function(definition.python), definition.content_type)
    if definition.template is not msgspec.UNSET:
        return compile_template(definition.template, definition.content_type)
    assert definition.base is not None
    if definition.format == "cef":
        return cef_format
    if definition.platform not in (None, PLATFORM):
        return analytics_of(definition.platform)
    return BY_NAME[definition.base]
