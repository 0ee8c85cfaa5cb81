"""The model of a selection, generated from the core's declaration of its fields."""

from typing import TYPE_CHECKING, Any, Self, get_args, get_origin

import msgspec
from pydantic import Field, create_model, model_validator

from event_gateway.config.values import Section
from event_gateway.core.matching.filter import Filter
from event_gateway.core.matching.operators import ALL_OPERATORS
from event_gateway.core.matching.selection import DEFAULTS, FIELDS, TYPES


class FilterModel(Section):
    """A condition on an event (`field`, `operator` and `value`), or a group: one of `all`, `any`
    and `not`."""

    field: str | None = Field(
        None,
        description="An attribute, an extension, or a path: `data.namespace`, "
        "`data.changes[0].kind`, `data.items[*].sku` (any element).",
    )
    operator: str | None = Field(
        None,
        description="How the field is compared.",
        json_schema_extra={"enum": [*ALL_OPERATORS]},
    )
    value: Any = Field(None, description="The value with which the field is compared.")
    # Only the first mistake of each list is reported: nested groups may have thousands.
    all: "list[FilterModel] | None" = Field(
        None, fail_fast=True, description="Filters that must all match."
    )
    any: "list[FilterModel] | None" = Field(
        None, fail_fast=True, description="Filters of which at least one must match."
    )
    not_: "FilterModel | None" = Field(
        None, alias="not", description="A filter that must not match."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        groups = [name for name in ("all", "any", "not_") if getattr(self, name) is not None]
        if not groups:
            for name in ("field", "operator"):
                if getattr(self, name) is None:
                    raise ValueError(f"{name} is missing (or all, any, not for a group)")
        elif len(groups) > 1 or self.model_fields_set & {"field", "operator", "value"}:
            raise ValueError("is either field, operator and value, or one of all, any and not")
        return self


def _model_type(core: Any) -> Any:
    """The type in a model for a type of the core."""
    if get_origin(core) is tuple:
        return list[_model_type(get_args(core)[0])]  # type: ignore[misc]
    return FilterModel if core is Filter else core


if TYPE_CHECKING:

    class SelectionModel(Section):
        """The conditions that an event must meet."""

else:
    SelectionModel = create_model(
        "SelectionModel",
        __base__=Section,
        __doc__="The conditions that an event must meet.",
        **{
            name: (
                _model_type(TYPES[name]),
                Field(
                    list(DEFAULTS[name]) if isinstance(DEFAULTS[name], tuple) else DEFAULTS[name],
                    description=field.description,
                ),
            )
            for name, field in FIELDS.items()
        },
    )


def selection_arguments(model: SelectionModel) -> dict[str, Any]:
    """The arguments of the core's Selection, or of a Webhook, from a model."""
    return {name: _core_value(getattr(model, name)) for name in FIELDS}


def _core_value(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_core_value(entry) for entry in value)
    return _filter_of(value) if isinstance(value, FilterModel) else value


def _filter_of(model: FilterModel) -> Filter:
    """The core's filter, with its groups."""
    if model.not_ is not None:
        return Filter(not_=_filter_of(model.not_))
    if model.all is not None:
        return Filter(all=tuple(_filter_of(part) for part in model.all))
    if model.any is not None:
        return Filter(any=tuple(_filter_of(part) for part in model.any))
    value = model.value if "value" in model.model_fields_set else msgspec.UNSET
    return Filter(model.field or "", model.operator or "", value)
