"""Documents of providers: what one sender may have the gateway fetch."""

import pytest

from event_gateway.ingest import provider_documents
from event_gateway.ingest.provider_documents import MAX_FETCHES, ProviderDocuments
from event_gateway.transport.document import NotFetched


async def test_urls_that_senders_choose_keep_nobody_else_from_theirs() -> None:
    fetched: list[str] = []

    async def fetch(url: str) -> tuple[bytes, dict[str, str]]:
        fetched.append(url)
        if "wrong" in url:
            raise NotFetched("answered 403")
        return b"%d" % len(fetched), {}

    documents = ProviderDocuments(fetch)
    await documents.get("https://sns/known", again=False, chosen=True)
    for number in range(MAX_FETCHES + 5):
        with pytest.raises(NotFetched):
            await documents.get(f"https://sns/wrong-{number}", again=False, chosen=True)
    assert len(fetched) == MAX_FETCHES
    # The keys that a definition names are fetched all the same, and a known certificate is renewed.
    await documents.get("https://issuer/keys", again=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provider_documents, "FAILED_AGAIN", 0.0)
        assert await documents.get("https://sns/known", again=True, chosen=True)
    assert fetched[MAX_FETCHES:] == ["https://issuer/keys", "https://sns/known"]
