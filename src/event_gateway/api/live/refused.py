"""A subscriber's request that cannot be done."""


class Refused(Exception):
    """``code`` is a word for programs, the text is for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail
