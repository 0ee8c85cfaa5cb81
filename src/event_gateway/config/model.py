"""The models of the configuration file. A key without a value takes the core's default."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from event_gateway.config.alerts_model import AlertsModel
from event_gateway.config.auth_model import AuthModel
from event_gateway.config.console_model import ConsoleModel
from event_gateway.config.delivery_model import DeliveryModel
from event_gateway.config.server_model import ServerModel
from event_gateway.config.servers_model import NatsModel, RedisModel
from event_gateway.config.source_model import SourceModel
from event_gateway.config.telemetry_model import TelemetryModel
from event_gateway.config.values import MAX_LISTED, Duration, Retention, Section, Size
from event_gateway.config.webhook_model import WebhookModel
from event_gateway.core.access.narrowing import MAX_NAMESPACE, check_namespace
from event_gateway.core.streams.definition import MAX_REPLICAS
from event_gateway.core.transformation.definition import BUILT_IN, SIEM_FORMATS


class StreamModel(Section):
    """A named stream for live subscribers."""

    subjects: list[str] = Field(description="Patterns of the subjects that the stream stores.")
    retention: Duration | None = Field(None, description="How long the stream stores events.")
    max_messages: Annotated[int, Field(ge=1)] | None = Field(
        None, description="The most events that it stores; the oldest are dropped first."
    )
    max_bytes: Size | None = Field(None, description="The most bytes that it stores.")
    compliance: bool = Field(False, description="Events in the stream cannot be deleted or purged.")
    sealed_by: str | None = Field(
        None,
        description="With compliance: where events name the person whom they are about, such as "
        "data.user_id. Their data is stored under a key of that person, which can be erased.",
    )
    compression: Literal["s2", "none"] = Field("s2", description="The compression on disk.")
    replicas: Annotated[int, Field(ge=1, le=MAX_REPLICAS)] | None = Field(
        None, description="On how many servers of a cluster; by default nats.replicas."
    )


class IngestModel(Section):
    """The events log."""

    subjects: list[str] | None = Field(
        None,
        max_length=MAX_LISTED,
        description="NATS subjects that are captured; by default the original domains and the root "
        "of every pattern in webhooks and streams.",
    )
    retention: Retention = Field(
        7 * 86400.0, description="How long the log stores events; at least 1m."
    )
    max_bytes: Size | None = Field(None, description="At this size the log refuses new events.")
    streams: list[str] = Field(
        [],
        max_length=64,
        description="Your own JetStream streams to read, instead of capturing subjects.",
    )
    allowed_origins: list[Annotated[str, Field(min_length=1, max_length=253)]] = Field(
        [],
        max_length=MAX_LISTED,
        description="Origins that may send events, as OPTIONS /v1/events answers them: exactly the "
        "value of WebHook-Request-Origin; * is any origin.",
    )

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            if any(not 0x20 < ord(character) < 0x7F for character in origin):
                raise ValueError("contains a space, a control or a non-ASCII character")
        return value


Namespace = Annotated[
    str, Field(min_length=1, max_length=MAX_NAMESPACE), AfterValidator(check_namespace)
]


class SecretsModel(Section):
    """Where the gateway looks up secrets by name."""

    env_prefix: str = Field("EVENT_GATEWAY_SECRET_", description="Before the name, upper-cased.")
    dir: str = Field("/run/secrets", description="A folder with a file for each secret.")
    namespaces: dict[str, list[Namespace]] = Field(
        {},
        description="The namespaces that may use a secret of the environment or of a file, by its "
        "name. Secrets that are not named here are for the operators' webhooks.",
    )


class TransformationModel(Section):
    """A transformation of your own: one of `base`, `template` and `python`."""

    base: str | None = Field(
        None,
        description=f"A built-in one, to set its options: {', '.join(BUILT_IN)}.",
        json_schema_extra={"enum": [*BUILT_IN, None]},
    )
    format: str | None = Field(
        None,
        description="siem_format: ecs (default) or cef.",
        json_schema_extra={"enum": [*SIEM_FORMATS, None]},
    )
    platform: str | None = Field(
        None, description="analytics_format: metadata.platform, by default arrakis."
    )
    template: Any = Field(None, description="The body, in the shape of JSON, with {{ paths }}.")
    content_type: str | None = Field(
        None,
        description="The content type of the body that a template or function makes. A template's "
        "is application/json by default; if it is not JSON, the template is a string.",
    )
    python: str | None = Field(
        None,
        description="package.module:function, or the name of an entry point in the group "
        "event_gateway.transformations.",
    )


class DeadLettersModel(Section):
    """Deliveries that failed for good."""

    retention: Retention = Field(
        90 * 86400.0, description="How long dead letters are stored; at least 1m."
    )


class AuditModel(Section):
    """The log of all changes: who changed what, and when."""

    retention: Retention = Field(
        400 * 86400.0, description="How long records are stored; at least 1m."
    )
    max_bytes: Annotated[Size, Field(ge=1024 * 1024)] | None = Field(
        None,
        description="The most bytes that they may have; the oldest are dropped first. At least "
        "1MiB; by default 1GiB, or one part in 16 of a small disk.",
    )


class ComplianceModel(Section):
    """The hash chains of streams with ``compliance: true``."""

    chain_every: Annotated[Duration, Field(ge=0.1, le=600)] = Field(
        5.0,
        description="How long messages gather for a record of the chain, 100ms to 10m; a record is "
        "full with 1000.",
    )
    anchor_every: Annotated[Duration, Field(ge=1, le=7 * 86400)] = Field(
        300.0, description="How often a chain that grew gets an anchor, 1s to 7d."
    )
    anchor_key: Annotated[str, Field(min_length=1, max_length=128)] = Field(
        "anchor_key",
        description="The secret with the private key that signs anchors (whsk_…); the gateway "
        "makes one if there is none, and seals it.",
    )


class CatalogModel(Section):
    """Event types with their schemas, and how the gateway treats events that do not conform."""

    enforce: Literal["off", "warn", "reject"] = Field(
        "warn", description="For types without a setting of their own: off does not check, warn "
        "accepts the event and reports it, reject refuses it."
    )  # fmt: skip
    strict: bool = Field(
        False, description="Whether events of types that are not registered are treated by "
        "enforce; else they pass."
    )  # fmt: skip


class Config(Section):
    """The whole file."""

    repair: Literal["automatic", "manual"] = Field(
        "automatic",
        description="When Redis has lost all records: read the log again at once, or wait for "
        "POST /v1/repair.",
    )

    durability: Literal["standard", "fsync"] = Field(
        "standard",
        description="What the embedded NATS survives. standard: the end of any process; a power "
        "cut may take the events of two minutes. fsync: also a power cut, as each event is on the "
        "disk before it is accepted. The embedded Valkey always survives both.",
    )
    webhooks: dict[str, WebhookModel] = Field({}, description="Receivers by id.")
    streams: dict[str, StreamModel] = Field({}, description="Named streams.")
    sources: dict[str, SourceModel] = Field(
        {}, description="Inbound webhooks of third parties, by name."
    )
    transformations: dict[str, TransformationModel] = Field(
        {}, description="Transformations of your own, by the name that webhooks give."
    )
    server: ServerModel = ServerModel()
    auth: AuthModel = AuthModel()
    nats: NatsModel = NatsModel()
    redis: RedisModel = RedisModel()
    ingest: IngestModel = IngestModel()
    secrets: SecretsModel = SecretsModel()
    delivery: DeliveryModel = DeliveryModel()
    dead_letters: DeadLettersModel = DeadLettersModel()
    audit: AuditModel = AuditModel()
    compliance: ComplianceModel = ComplianceModel()
    alerts: AlertsModel = AlertsModel()
    catalog: CatalogModel = CatalogModel()
    telemetry: TelemetryModel = TelemetryModel()
    console: ConsoleModel = ConsoleModel()
