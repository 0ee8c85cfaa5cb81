"""The models of ``alerts``: when the gateway alerts people."""

from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from event_gateway.config.values import Duration, Section
from event_gateway.core.observability.alert_rules import (
    CIRCUIT_BREAKER_OPEN,
    DELIVERY_LAG,
    HIGH_ERROR_RATE,
    WEBHOOK_DOWN,
    AlertSettings,
    Timing,
)

LEAST_WINDOW = 5.0  # seconds
LONGEST_WINDOW = 86400.0
RUNBOOKS = "https://github.com/your-org/arrakis-project/blob/main/event-gateway/docs/runbooks.md"


def _window(value: float) -> float:
    if not LEAST_WINDOW <= value <= LONGEST_WINDOW:
        raise ValueError("must be at least 5s and at most 1d")
    return value


def _up_to_a_day(value: float) -> float:
    if value > LONGEST_WINDOW:
        raise ValueError("must be at most 1d")
    return value


Window = Annotated[Duration, AfterValidator(_window)]
Span = Annotated[Duration, AfterValidator(_up_to_a_day)]
_FOR = "How long the condition must hold before the alert fires. Until then the alert is pending."
_KEEP = "How long the condition must be over before a firing alert is resolved."


class HighErrorRateModel(Section):
    """Too many attempts fail."""

    enabled: bool = Field(True, description="Whether the gateway has this alert.")
    threshold: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.05, description="The fraction of failed attempts above which the alert fires."
    )
    window: Window = Field(
        300.0, description="The time over which the attempts are counted; 5s to 1d."
    )
    min_attempts: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        20,
        description="The minimum number of attempts in the window. With fewer, the alert does "
        "not fire.",
    )
    hold: Span = Field(10.0, alias="for", description=_FOR)
    keep_firing_for: Span = Field(60.0, description=_KEEP)


class DeliveryLagModel(Section):
    """Events wait too long for their delivery."""

    enabled: bool = Field(True, description="Whether the gateway has this alert.")
    threshold: Annotated[Duration, Field(ge=1)] = Field(
        30.0, description="The waiting time above which the alert fires."
    )
    hold: Span = Field(10.0, alias="for", description=_FOR)
    keep_firing_for: Span = Field(60.0, description=_KEEP)


class WebhookDownModel(Section):
    """Every attempt to a receiver fails. The alert fires when one of `failures` and `window` is
    reached."""

    enabled: bool = Field(True, description="Whether the gateway has this alert.")
    failures: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        20, description="The number of consecutive failed attempts at which the alert fires."
    )
    window: Window = Field(
        300.0, description="The time in which every attempt, of at least 3, has failed; 5s to 1d."
    )
    hold: Span = Field(0.0, alias="for", description=_FOR)
    keep_firing_for: Span = Field(60.0, description=_KEEP)


class CircuitBreakerOpenModel(Section):
    """A circuit breaker is open, or half-open after it was open."""

    enabled: bool = Field(True, description="Whether the gateway has this alert.")
    hold: Span = Field(0.0, alias="for", description=_FOR)
    keep_firing_for: Span = Field(60.0, description=_KEEP)


_Model = HighErrorRateModel | DeliveryLagModel | WebhookDownModel | CircuitBreakerOpenModel


class AlertsModel(Section):
    """The conditions under which the gateway alerts its operators."""

    high_error_rate: HighErrorRateModel = HighErrorRateModel()
    delivery_lag: DeliveryLagModel = DeliveryLagModel()
    webhook_down: WebhookDownModel = WebhookDownModel()
    circuit_breaker_open: CircuitBreakerOpenModel = CircuitBreakerOpenModel()
    runbooks: str = Field(
        RUNBOOKS,
        max_length=500,
        description="The URL of the runbooks, to which alert events link: `http` or `https`, "
        "without a fragment.",
    )

    @field_validator("runbooks")
    @classmethod
    def _runbooks(cls, value: str) -> str:
        printable = value.isascii() and value.isprintable() and " " not in value
        if not value.startswith(("http://", "https://")) or "#" in value or not printable:
            raise ValueError("must be an http or https URL without a fragment")
        return value

    def settings(self) -> AlertSettings:
        """The thresholds as the core takes them."""
        return AlertSettings(
            error_rate=self.high_error_rate.threshold,
            error_window=self.high_error_rate.window,
            min_attempts=self.high_error_rate.min_attempts,
            lag=self.delivery_lag.threshold,
            failures=self.webhook_down.failures,
            down_window=self.webhook_down.window,
            timings={
                HIGH_ERROR_RATE: _timing(self.high_error_rate),
                DELIVERY_LAG: _timing(self.delivery_lag),
                WEBHOOK_DOWN: _timing(self.webhook_down),
                CIRCUIT_BREAKER_OPEN: _timing(self.circuit_breaker_open),
            },
        )


def _timing(model: _Model) -> Timing:
    return Timing(enabled=model.enabled, hold=model.hold, keep=model.keep_firing_for)
