"""Commands that are called wrongly: one line, which says what is wrong, and where to look."""

import pytest

from support.in_process import run_here

# The test runner calls the program "root".
WRONG = [
    (("keys", "create"), "missing argument 'name'; see root keys create --help"),
    (("top", "--interval"), "requires an argument"),
    (("webhooks", "create", "w", "--endpont", "x"), "no such option: --endpont (Possible options:"),
    (("rejected", "show", "x"), "invalid value for 'seq'"),
    (("keys", "creat", "x"), "Did you mean 'create'? Or see root keys --help"),
    (("evnts",), "no such command 'evnts'"),
    (("--nothing",), "no such option: --nothing; see root --help"),
]


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_it_is_one_line(words: tuple[str, ...], message: str) -> None:
    run_here(*words).assert_refused(2, message)


def test_a_group_without_a_command_shows_its_help() -> None:
    shown = run_here("keys")
    assert shown.status == 2
    assert "Usage: " in shown.err
    assert "rotate" in shown.err
