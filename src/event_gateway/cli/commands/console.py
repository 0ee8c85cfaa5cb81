"""``event-gateway console``: the pages for people, beside any gateway."""

import asyncio
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

import typer

from event_gateway.cli.client.options import KeyOption, UrlOption
from event_gateway.cli.client.output import fail

PORT = 8081


def console(
    url: UrlOption = None,
    key: KeyOption = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")
    ] = PORT,
    name: Annotated[str, typer.Option(help="The title of the pages.")] = "Event Gateway",
    logo: Annotated[
        str | None, typer.Option(help="An SVG, PNG, JPEG or WebP file, which the pages show.")
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(help="The address for browsers, if a proxy is in front of the console."),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="A network (CIDR) of proxies before it, which name their clients in "
            "X-Forwarded-For; may be repeated."
        ),
    ] = None,
    client_cert: Annotated[
        Path | None,
        typer.Option(
            help="A PEM file with the certificate that the console presents to the gateway."
        ),
    ] = None,
    client_key: Annotated[
        Path | None, typer.Option(help="A PEM file with its private key. Default: the same file.")
    ] = None,
) -> None:
    """Run a console for a gateway, here or elsewhere.

    Its users sign in with keys of that gateway. If a key is known here, a link that signs in once
    is printed too.
    """
    from event_gateway.cli.client.contexts import contexts_file
    from event_gateway.cli.client.place_options import place
    from event_gateway.cli.client.requests import locate_gateway
    from event_gateway.cli.process.host import StartFailed, listen
    from event_gateway.config.console_model import origin
    from event_gateway.console.links import OneTimeLinks
    from event_gateway.console.sealing import sealer_in
    from event_gateway.console.server import serve
    from event_gateway.console.settings import ConsoleSettings

    if public_url is not None:
        try:
            public_url = origin(public_url)
        except ValueError as error:
            fail(f"--public-url {public_url}: {error}", 2)
    try:
        proxies = tuple(str(ip_network(each)) for each in trusted_proxy or ())
    except ValueError as error:
        fail(f"--trusted-proxy: {error}", 2)
    gateway = locate_gateway(url, key)
    found = place()
    own = found.data_dir if found.in_directory and found.data_dir is not None else None
    own = own or contexts_file().parent  # of the user, for a gateway elsewhere
    settings = ConsoleSettings(
        gateway_url=gateway.url,
        directory=str((own / "console").absolute()),
        certificate=found.certificate,
        ca=None if found.ca is None else str(found.ca),
        name=name,
        logo=logo,
        public_url=public_url,
        client_cert=None if client_cert is None else str(client_cert.absolute()),
        client_key=None if client_key is None else str(client_key.absolute()),
        trusted_proxies=proxies,
    )

    async def main() -> None:
        from event_gateway.cli.process.console import CONSOLE_MARGIN
        from event_gateway.cli.process.signals import Ending

        ending = Ending(0.0, margin=CONSOLE_MARGIN)
        listener = listen(host, port)
        address = f"http://{host if ':' not in host else f'[{host}]'}:{listener.getsockname()[1]}"
        typer.echo(f"console         {address}   (of {gateway.url})")
        if gateway.key:
            directory = Path(settings.directory)
            link = OneTimeLinks(directory, sealer_in(directory)).create(gateway.key)
            typer.echo(f"sign in once    {address}{link}")
        ending.started()
        end = asyncio.Event()
        serving = asyncio.create_task(serve(settings, listener, end))
        waiting = asyncio.create_task(ending.wait())
        await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        end.set()
        await serving

    try:
        asyncio.run(main())
    except (OSError, StartFailed) as error:
        fail(str(error))
