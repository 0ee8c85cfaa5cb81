"""The versions of the registry's entries."""

import msgspec
import pytest

from event_gateway.broker import registry_entries
from event_gateway.broker.registry_entries import StoredStream, decode, stored_stream
from event_gateway.core.errors import NewerFormat
from event_gateway.core.streams.definition import Hold, StreamDefinition


def test_an_earlier_version_does_not_read_a_stream_whose_holds_it_would_drop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hold = Hold("h-1", "case", 1.0)
    held = StreamDefinition("audit", ("a.*",), compliance=True, holds=(hold,), sealed_by="data.u")
    usual = StreamDefinition("work", ("b.*",))
    entries = [msgspec.json.encode(stored_stream(each)) for each in (held, usual)]
    assert [decode("stream.x", each, StoredStream).stream for each in entries] == [held, usual]
    monkeypatch.setattr(registry_entries, "NEWEST", 4)  # that of the version before holds
    assert decode("stream.work", entries[1], StoredStream).stream == usual
    with pytest.raises(NewerFormat, match=r"stream\.audit has format 5, this version knows 4"):
        decode("stream.audit", entries[0], StoredStream)
