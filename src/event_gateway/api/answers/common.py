"""Types that the answers of several routes share."""

from typing import Annotated, Any, Generic, Literal, NotRequired, TypeVar

from pydantic import ConfigDict, Field, WithJsonSchema
from typing_extensions import TypedDict

Item = TypeVar("Item")
# Generators of Terraform providers and forms hide what has this format.
Confidential = Annotated[str, WithJsonSchema({"type": "string", "format": "password"})]
Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Duration = Annotated[str, WithJsonSchema({"type": "string", "examples": ["30s", "1h30m"]})]
Manager = Annotated[str, Field(description="`file`, `api`, `applied`, or `applied/NAME`.")]
Json = Annotated[Any, WithJsonSchema({})]


class CloudEvent(TypedDict):
    """A CloudEvent 1.0 in the JSON format; any other member is an extension attribute, whose name
    consists of lower-case letters and digits."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    specversion: Literal["1.0"]
    id: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1, description="A URI reference.")]
    type: Annotated[str, Field(min_length=1)]
    subject: NotRequired[Annotated[str, Field(min_length=1)]]
    time: NotRequired[Time]
    datacontenttype: NotRequired[Annotated[str, Field(min_length=1)]]
    dataschema: NotRequired[Annotated[str, Field(min_length=1, description="A URI.")]]
    data: NotRequired[Json]
    data_base64: NotRequired[str]


class Page(TypedDict, Generic[Item]):
    """A page of a list. ``next`` is the cursor of the page that follows, null after the last.

    ``total``: how many items all pages have now. With ``total_is_estimate`` the gateway has counted
    without reading, so there may be fewer. Null where a count would tell a narrowed caller how many
    items others have.
    """

    items: list[Item]
    next: str | None
    total: int | None
    total_is_estimate: bool


class Warned(TypedDict):
    """A warning: something in a definition will not work as its owner may expect. ``detail`` begins
    with the key of the definition."""

    code: str
    detail: str
