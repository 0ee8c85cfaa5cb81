"""The reason why a subscriber's request is refused."""


class SubscriptionRefused(Exception):
    """``code`` is a word for programs, such as ``unknown_stream``; the text is for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail
