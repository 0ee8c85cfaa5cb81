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
_FOR = "For how long the condition must hold before the alert fires; until then it is pending."
_KEEP = "For how long the condition must not hold before a firing alert is resolved."


class HighErrorRateModel(Section):
    """Too many attempts fail."""

    enabled: bool = Field(True, description="Whether there is this alert.")
    threshold: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.05, description="It fires if more than this share of the attempts fail."
    )
    window: Window = Field(300.0, description="Over which time; 5s to 1d.")
    min_attempts: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        20, description="It does not fire with fewer attempts in the window."
    )
    hold: Span = Field(10.0, alias="for", description=_FOR)
    keep_firing_for: Span = Field(60.0, description=_KEEP)


class DeliveryLagModel(Section):
    """Events wait too long for their delivery."""

    enabled: bool = Field(True, description="Whether there is this alert.")
    threshold: Annotated[Duration, Field(ge=1)] = Field(
        30.0, description="It fires if an event waits longer; at least 1s."
    )
    hold: Span = Field(10.0, alias="for", description=_FOR)
    keep_firing_for: Span = Field(60.0, description=_KEEP)


class WebhookDownModel(Section):
    """Every attempt fails."""

    enabled: bool = Field(True, description="Whether there is this alert.")
    failures: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        20, description="It fires after so many failed attempts in a row,"
    )
    window: Window = Field(
        300.0, description="or if all attempts of this time failed, at least 3; 5s to 1d."
    )
    hold: Span = Field(0.0, alias="for", description=_FOR)
    keep_firing_for: Span = Field(60.0, description=_KEEP)


class CircuitBreakerOpenModel(Section):
    """A circuit breaker is open, or half-open after that."""

    enabled: bool = Field(True, description="Whether there is this alert.")
    hold: Span = Field(0.0, alias="for", description=_FOR)
    keep_firing_for: Span = Field(60.0, description=_KEEP)


_Model = HighErrorRateModel | DeliveryLagModel | WebhookDownModel | CircuitBreakerOpenModel


class AlertsModel(Section):
    """When the gateway alerts people."""

    high_error_rate: HighErrorRateModel = HighErrorRateModel()
    delivery_lag: DeliveryLagModel = DeliveryLagModel()
    webhook_down: WebhookDownModel = WebhookDownModel()
    circuit_breaker_open: CircuitBreakerOpenModel = CircuitBreakerOpenModel()
    runbooks: str = Field(
        RUNBOOKS,
        max_length=500,
        description="The page of the runbooks, to which the events link: an http or https URL "
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
