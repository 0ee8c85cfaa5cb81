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
    """A named stream, which live subscribers read."""

    subjects: list[str] = Field(description="Patterns of the event types that the stream stores.")
    retention: Duration | None = Field(
        None, description="How long the stream stores an event. Default: no limit."
    )
    max_messages: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="The maximum number of events in the stream. The stream drops the oldest "
        "first. Default: no limit.",
    )
    max_bytes: Size | None = Field(
        None,
        description="The maximum size of the stream. The stream drops the oldest events first. "
        "Default: no limit.",
    )
    compliance: bool = Field(
        False,
        description="Whether the stream forbids to delete and purge events, and keeps a hash "
        "chain over them.",
    )
    sealed_by: str | None = Field(
        None,
        description="With `compliance`: where an event names the person whom it is about, such "
        "as `data.user_id`. The gateway encrypts the data under a key of that person. Erasing "
        "the key erases the data.",
    )
    compression: Literal["s2", "none"] = Field("s2", description="The compression on disk.")
    replicas: Annotated[int, Field(ge=1, le=MAX_REPLICAS)] | None = Field(
        None,
        description="The number of servers of a NATS cluster that store the stream. Default: "
        "`nats.replicas`.",
    )


class IngestModel(Section):
    """The log, into which the gateway takes events."""

    subjects: list[str] | None = Field(
        None,
        max_length=MAX_LISTED,
        description="The NATS subjects that the log captures. Default: those of the original "
        "domains, and the first token of every pattern in webhooks and streams.",
    )
    retention: Retention = Field(
        7 * 86400.0, description="How long the log stores an event; at least 1m."
    )
    max_bytes: Size | None = Field(
        None,
        description="The maximum size of the log. A full log refuses new events. Default: no "
        "limit.",
    )
    streams: list[str] = Field(
        [],
        max_length=64,
        description="JetStream streams of your own, which the gateway reads in place of "
        "capturing subjects.",
    )
    allowed_origins: list[Annotated[str, Field(min_length=1, max_length=253)]] = Field(
        [],
        max_length=MAX_LISTED,
        description="The origins that may send events, as `OPTIONS /v1/events` answers them. "
        "Each is an exact value of `WebHook-Request-Origin`; `*` allows any origin.",
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

    env_prefix: str = Field(
        "EVENT_GATEWAY_SECRET_",
        description="The prefix of environment variables. The name of the secret follows in "
        "upper case.",
    )
    dir: str = Field("/run/secrets", description="A folder with a file for each secret.")
    namespaces: dict[str, list[Namespace]] = Field(
        {},
        description="The namespaces that may use a secret from the environment or a file, by "
        "the name of the secret. Other secrets are only for the webhooks of callers whose access "
        "no namespace limits.",
    )


class TransformationModel(Section):
    """A transformation of your own: one of `base`, `template` and `python`."""

    base: str | None = Field(
        None,
        description="The built-in transformation whose options are set here.",
        json_schema_extra={"enum": [*BUILT_IN, None]},
    )
    format: str | None = Field(
        None,
        description="`siem_format`: the format of the body. Default: `ecs`.",
        json_schema_extra={"enum": [*SIEM_FORMATS, None]},
    )
    platform: str | None = Field(
        None,
        description="`analytics_format`: the value of `metadata.platform`. Default: `arrakis`.",
    )
    template: Any = Field(
        None,
        description="The body, in the shape of JSON, with `{{ paths }}` for values of the event.",
    )
    content_type: str | None = Field(
        None,
        description="The content type of the body. Default with `template`: `application/json`. "
        "With any other content type the template is a string.",
    )
    python: str | None = Field(
        None,
        description="A function, as `package.module:function`, or the name of an entry point in "
        "the group `event_gateway.transformations`.",
    )


class DeadLettersModel(Section):
    """Dead letters: deliveries that failed for good."""

    retention: Retention = Field(
        90 * 86400.0, description="How long the gateway stores a dead letter; at least 1m."
    )


class AuditModel(Section):
    """The audit log, which tells who changed what, and when."""

    retention: Retention = Field(
        400 * 86400.0, description="How long the gateway stores a record; at least 1m."
    )
    max_bytes: Annotated[Size, Field(ge=1024 * 1024)] | None = Field(
        None,
        description="The maximum size of the audit log, at least 1MiB. The log drops the oldest "
        "records first. Default: 1GiB, or 1/16 of a small disk.",
    )


class ComplianceModel(Section):
    """The hash chains of streams with `compliance: true`."""

    chain_every: Annotated[Duration, Field(ge=0.1, le=600)] = Field(
        5.0,
        description="How often the gateway adds the new messages of a stream to its chain. A "
        "record of the chain has at most 1000 messages.",
    )
    anchor_every: Annotated[Duration, Field(ge=1, le=7 * 86400)] = Field(
        300.0, description="How often the gateway signs an anchor of a chain that has grown."
    )
    anchor_key: Annotated[str, Field(min_length=1, max_length=128)] = Field(
        "anchor_key",
        description="The name of the secret with the private key that signs anchors (`whsk_…`). "
        "If there is no such secret, the gateway makes one and seals it.",
    )


class CatalogModel(Section):
    """Event types with their schemas, and what the gateway does with events that do not conform."""

    enforce: Literal["off", "warn", "reject"] = Field(
        "warn",
        description="What the gateway does with an event that does not conform to its schema, "
        "unless its event type says otherwise. `off`: does not check. `warn`: accepts the event "
        "and reports it. `reject`: refuses the event.",
    )
    strict: bool = Field(
        False,
        description="Whether the gateway treats events of unregistered types as `enforce` says. "
        "Otherwise it accepts them.",
    )


class Config(Section):
    """The whole file."""

    repair: Literal["automatic", "manual"] = Field(
        "automatic",
        description="What the gateway does when Redis has lost all records: read the log again "
        "at once (`automatic`), or wait for `POST /v1/repair` (`manual`).",
    )

    durability: Literal["standard", "fsync"] = Field(
        "standard",
        description="What the embedded NATS survives. `standard`: the end of any process; a "
        "power cut can lose the events of the last two minutes. `fsync`: also a power cut, since "
        "the gateway accepts an event when it is on the disk. The embedded Valkey survives both "
        "with either value.",
    )
    webhooks: dict[str, WebhookModel] = Field({}, description="Webhooks, by id.")
    streams: dict[str, StreamModel] = Field({}, description="Named streams.")
    sources: dict[str, SourceModel] = Field(
        {}, description="Sources, which take in webhooks of third parties, by name."
    )
    transformations: dict[str, TransformationModel] = Field(
        {}, description="Transformations of your own, by the name that webhooks use."
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
