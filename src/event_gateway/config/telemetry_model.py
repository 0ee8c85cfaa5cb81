"""``telemetry``: what the gateway tells of its own work."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from event_gateway.config.values import Duration, Section

MAX_HEADERS = 32


class LogsModel(Section):
    """The log on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The lowest level that the gateway logs."
    )
    format: Literal["auto", "json", "console"] = Field(
        "auto",
        description="`json`: one object in each line. `console`: text for people. `auto`: "
        "`console` if standard error is a terminal, otherwise `json`.",
    )


class OtlpModel(Section):
    """An OpenTelemetry collector, to which the gateway sends traces and metrics by OTLP. It needs
    the extra `otel`."""

    endpoint: str = Field(
        description="The base URL: `http://localhost:4318`, or with `grpc` "
        "`http://localhost:4317`. With `https` the gateway uses TLS."
    )
    protocol: Literal["http", "grpc"] = Field(
        "http",
        description="`http`: protobuf over HTTP, to `/v1/traces` and `/v1/metrics` below the "
        "URL. `grpc`: gRPC.",
    )
    headers: dict[str, str] = Field(
        {},
        max_length=MAX_HEADERS,
        repr=False,
        description="Headers of each request, such as an API key. Take its value from the "
        "environment.",
    )
    ca: str | None = Field(
        None,
        description="A PEM file, relative to `secrets.dir`, with the authorities that may have "
        "issued the collector's certificate.",
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
    """Traces. They need `telemetry.otlp`."""

    enabled: bool = Field(True, description="Whether the gateway records and sends spans.")
    sampling: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0,
        description="The fraction of traces that the gateway records, of those that begin in "
        "the gateway. If a publisher began the trace, the flag in its `traceparent` decides.",
    )


class OtlpMetricsModel(Section):
    """Metrics by OTLP: the same figures as `/metrics`. They need `telemetry.otlp`."""

    enabled: bool = Field(True, description="Whether the gateway sends metrics.")
    interval: Annotated[Duration, Field(ge=1)] = Field(
        60.0, description="The time between two exports."
    )


class TelemetryModel(Section):
    """Logs, traces and metrics of the gateway itself."""

    logs: LogsModel = LogsModel()
    otlp: OtlpModel | None = Field(None, description="The OpenTelemetry collector. Default: none.")
    traces: TracesModel = TracesModel()
    metrics: OtlpMetricsModel = OtlpMetricsModel()
