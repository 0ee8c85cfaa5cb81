"""Fixtures: real servers on free ports, a gateway that uses them, and a receiver."""

from support.core_coverage import CoreCoverage
from support.environment import prepare_environment

# Before the product is imported: all processes share its bytecode, and its imports are traced.
prepare_environment()
_core_coverage = CoreCoverage()

import contextlib
import functools
import gc

# What is made until all tests are collected stays: looking for garbage takes a third of that time.
gc.disable()

from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import pytest

from event_gateway.cli.process.serve import Running
from event_gateway.observability.logs import LogSettings, configure_logs
from support.assertions import first_alone
from support.certificates import IssuedFiles
from support.client import Client, connected
from support.command import CommandResult, access, command
from support.examples import no_deadlines
from support.fixtures import Command, Start
from support.gateway_process import offer_interpreter
from support.in_process import gateway_in_process, servers_at
from support.left_tasks import no_tasks_left
from support.leftovers import OUTLIVED, Leftovers
from support.optional import check_required, leave_out, left_out
from support.order import folder_of, mark_and_order
from support.peers import Peers
from support.receiver import Receiver, receiving
from support.sharing import FAILED, Shared, empty, empty_servers, shares
from support.warm_workers import fork_workers

# As in the real program: a coloured traceback with all locals can take minutes to print.
configure_logs(LogSettings())
no_deadlines()

_alive: list[str] = []
_leftovers = pytest.StashKey[Leftovers]()


def pytest_configure(config: pytest.Config) -> None:
    """Marks the run, before xdist starts its workers."""
    worker = hasattr(config, "workerinput")
    config.stash[_leftovers] = Leftovers(worker=worker)
    if not (worker or config.option.collectonly):
        check_required()
        offer_interpreter()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Has the workers forked from one process that has imported the tests."""
    fork_workers(config, specs)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Lets the assertions of each module be rewritten by one worker, not by all at once."""
    with first_alone(collector):
        return (yield)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks each test with its folder, puts the longest first, and leaves out what cannot run."""
    mark_and_order(config, items)
    leave_out(items)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """After it, looks for garbage again, but only among what tests make."""
    try:
        return (yield)
    finally:
        _core_coverage.pause()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measures the coverage of the core by unit tests, where that is asked for."""
    with _core_coverage.resumed() if folder_of(item) == "unit" else contextlib.nullcontext():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes that a test has failed, for the end of what it has used."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Ends the tasks that a test has left in the event loop of its module."""
    with no_tasks_left(item):
        return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes over the leftovers that a worker of xdist has found."""
    _alive.extend(getattr(node, "workeroutput", {}).get("leftovers", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Names the tests that were left out, and why."""
    for line in left_out(terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_line(line)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails the run if a process that a test has started is still running."""
    _core_coverage.save()
    leftovers = session.config.stash[_leftovers]
    _alive.extend(leftovers.of_this_process())
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["leftovers"] = _alive
        return
    _alive.extend(leftovers.end())
    if _alive:
        print("\nProcesses that outlived their test, and were ended:", *_alive, sep="\n  ")
        session.exitstatus = OUTLIVED


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
def issued(tmp_path: Path) -> IssuedFiles:
    """Certificates of an authority of the test's own: of a server, and of the client ``alice``."""
    issued = IssuedFiles(tmp_path / "certificates")
    issued.serve()
    issued.issue("alice")
    return issued


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """A function that starts a gateway with embedded servers on ``tmp_path``, and returns it."""
    async with contextlib.AsyncExitStack() as stack:

        async def begin(config: dict[str, Any] | None = None) -> Running:
            return await stack.enter_async_context(gateway_in_process(tmp_path, config))

        yield begin


@pytest.fixture
async def connect() -> AsyncIterator[Start]:
    """A function that returns the clients of a running gateway."""
    async with contextlib.AsyncExitStack() as stack:

        async def begin(running: Running) -> Client:
            clients = connected(running.http_url, running.nats_url, running.admin_key)
            return await stack.enter_async_context(clients)

        yield begin


@pytest.fixture(scope="module")
def configuration() -> dict[str, Any]:
    """What the configuration file of ``gateway`` says. A module may have another one."""
    return {}


@pytest.fixture
def gateway(request: pytest.FixtureRequest) -> Running:
    """A gateway with ``configuration``, which may deliver to the loopback interface.

    It is the test's own, or that of all tests of the module that are marked ``shared``: what they
    leave of other kinds, such as events and dead letters, is there.
    """
    name = "emptied_gateway" if shares(request.node) else "own_gateway"
    return request.getfixturevalue(name)  # type: ignore[no-any-return]


@pytest.fixture
async def own_gateway(start: Start, configuration: dict[str, Any]) -> Running:
    return await start(configuration)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
async def shared_gateway(configuration: dict[str, Any]) -> AsyncIterator[Shared[Running]]:
    shared = Shared(functools.partial(gateway_in_process, config=configuration), empty)
    yield shared
    await shared.end()


@pytest.fixture
async def emptied_gateway(
    request: pytest.FixtureRequest, shared_gateway: Shared[Running]
) -> AsyncIterator[Running]:
    """The gateway of the module, whose webhooks, streams and so on are deleted after the test."""
    async with shared_gateway.lent(request.node) as gateway:
        yield gateway


@pytest.fixture
async def client(gateway: Running, connect: Start) -> Client:
    """The clients of ``gateway``."""
    return await connect(gateway)  # type: ignore[no-any-return]


@pytest.fixture
def run(gateway: Running) -> Command:
    """A function that runs a command against ``gateway``."""

    async def begin(*words: str, given: str = "") -> CommandResult:
        return await command(*words, given=given, **access(gateway))

    return begin


@pytest.fixture
def servers(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The URLs of a NATS and a Valkey that no gateway has started, and that hold nothing.

    They are the test's own, or those of all tests of the module that are marked ``shared``.
    """
    name = "emptied_servers" if shares(request.node) else "own_servers"
    return request.getfixturevalue(name)  # type: ignore[no-any-return]


@pytest.fixture
async def own_servers(tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    async with servers_at(tmp_path / "servers") as urls:
        yield urls


@pytest.fixture(scope="module")
async def shared_servers() -> AsyncIterator[Shared[tuple[str, str]]]:
    shared = Shared(servers_at, empty_servers)
    yield shared
    await shared.end()


@pytest.fixture
async def emptied_servers(
    request: pytest.FixtureRequest, shared_servers: Shared[tuple[str, str]]
) -> AsyncIterator[tuple[str, str]]:
    """The servers of the module, which are emptied after the test."""
    async with shared_servers.lent(request.node) as servers:
        yield servers


@pytest.fixture
async def peers(tmp_path: Path, servers: tuple[str, str]) -> AsyncIterator[Peers]:
    peers = Peers(tmp_path, servers)
    yield peers
    for program in peers.programs:
        await program.stop()
        assert "Traceback" not in program.output, program.output


@pytest.fixture
async def stack() -> AsyncIterator[contextlib.AsyncExitStack]:
    async with contextlib.AsyncExitStack() as stack:
        yield stack
