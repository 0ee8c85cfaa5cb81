"""``?search=`` of lists: a text that one of an item's texts contains, in any case of letters."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import Depends, Query

MAX_SEARCH = 200  # characters


class Search:
    """What a caller searches for; without a text every item fits."""

    def __init__(self, text: str | None = None) -> None:
        self.text = text.lower() if text else None

    def fits(self, *texts: str | None) -> bool:
        """Whether one of an item's texts contains what is searched for."""
        return self.fits_any(texts)

    def fits_any(self, texts: Iterable[str | None]) -> bool:
        """As :meth:`fits`."""
        return self.text is None or any(text and self.text in text.lower() for text in texts)


EVERY = Search()


async def _searched(
    search: Annotated[
        str | None,
        Query(
            max_length=MAX_SEARCH,
            description="A text that the item contains, in capital or small letters; where, is "
            "said above.",
        ),
    ] = None,
) -> Search:
    return Search(search)


Searched = Annotated[Search, Depends(_searched)]
