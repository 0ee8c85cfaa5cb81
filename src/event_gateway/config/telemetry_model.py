"""``telemetry``: what the gateway tells of its own work."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from event_gateway.config.values import Duration, Section

MAX_HEADERS = 32


class LogsModel(Section):
    """The log on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least level that is logged: debug, info, warning or error."
    )
    format: Literal["auto", "json", "console"] = Field(
        "auto",
        description="json: an object in each line. console: text for people. auto: console if "
        "standard error is a terminal, else json.",
    )


class OtlpModel(Section):
    """An OpenTelemetry collector that gets traces and metrics by OTLP; needs the extra `otel`."""

    endpoint: str = Field(
        description="The base URL: http://localhost:4318, or with grpc http://localhost:4317; "
        "https for TLS."
    )
    protocol: Literal["http", "grpc"] = Field(
        "http", description="http (protobuf, to /v1/traces and /v1/metrics below the URL) or grpc."
    )
    headers: dict[str, str] = Field(
        {},
        max_length=MAX_HEADERS,
        repr=False,
        description="Headers of each request, such as an API key; take it from the environment.",
    )
    ca: str | None = Field(
        None,
        description="A file with the authorities of the collector's certificate, in PEM; relative "
        "to secrets.dir.",
    )

    @field_validator("endpoint")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        scheme, _, rest = value.partition("://")
        if scheme not in ("http", "https") or not rest.strip("/"):
            raise ValueError("must be a URL: http://localhost:4318")
        if "@" in rest or "?" in rest or "#" in rest:
            raise ValueError("must have no user, query or fragment: give credentials as headers")
        return value

    @field_validator("headers")
    @classmethod
    def _headers(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
                raise ValueError("a name is not that of a header")
            if not text.isascii() or not text.isprintable():
                raise ValueError(f"the value of {name} has a character that no header may have")
        return value


class TracesModel(Section):
    """Traces, if there is a collector."""

    enabled: bool = Field(True, description="Whether spans are recorded and sent.")
    sampling: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0,
        description="The share of the traces that begin in the gateway. Of a trace that a "
        "publisher began, the flag of its traceparent decides.",
    )


class OtlpMetricsModel(Section):
    """Metrics by OTLP, if there is a collector: the same figures as `/metrics`."""

    enabled: bool = Field(True, description="Whether metrics are sent.")
    interval: Annotated[Duration, Field(ge=1)] = Field(
        60.0, description="The time between two exports; at least 1s."
    )


class TelemetryModel(Section):
    """What the gateway tells of its own work."""

    logs: LogsModel = LogsModel()
    otlp: OtlpModel | None = Field(
        None, description="Where traces and metrics go; none by default."
    )
    traces: TracesModel = TracesModel()
    metrics: OtlpMetricsModel = OtlpMetricsModel()
