"""The command line. Each command loads only what it needs; errors end with one clear text and exit code 2."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from gateway import __version__
from gateway.cli_data import data
from gateway.cli_examine import examine
from gateway.cli_parts import EXIT_CODES, ConfigFile, err, out
from gateway.cli_people import users
from gateway.errors import ConfigError, GatewayError

app = typer.Typer(
    name="gasgate",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog=EXIT_CODES,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Read a city's gas meters and gas network, find leaks and loss, and send a crew in time."""


class Role(StrEnum):
    """A part of gasgate that runs in a process of its own."""

    KEEP = "keep"
    ALARM = "alarm"
    ANALYSE = "analyse"
    WEB = "web"


def main() -> None:
    """Run the command line. Exit code 1: it ran and failed; 2: wrong call or configuration."""
    try:
        app(prog_name="gasgate")
    except ConfigError as error:
        for problem in error.problems:
            err.print(f"[bold red]error[/] {escape(problem)}", soft_wrap=True)
        sys.exit(2)
    except GatewayError as error:
        err.print(f"[bold red]error[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
    except OSError as error:
        err.print(f"[bold red]error[/] {escape(str(error.filename or ''))}: {error.strerror}", soft_wrap=True)
        sys.exit(1)


@app.command()
def version() -> None:
    """Print the version.

    Example: gasgate version
    """
    out.print(f"gasgate {__version__}")


@app.command()
def run(
    config: ConfigFile,
    role: Annotated[
        list[Role] | None,
        typer.Option(help="Run only this role, here; give it once per role. Without it all roles run and are watched."),
    ] = None,
    logs: Annotated[Path | None, typer.Option(help="Write each role's log to a file in this folder.")] = None,
) -> None:
    """Run the gateway until it is told to stop (Ctrl-C or SIGTERM).

    The configuration is checked first; a wrong one starts nothing.

    Exit code 0: it was told to stop. 1: it could not go on. 2: wrong call or configuration.

    Example: gasgate run gasgate.toml
    """
    from gateway.roles.common import run_role
    from gateway.snapshot import take_snapshot

    taken = take_snapshot(config)
    loaded = taken.config
    if role and len(role) == 1:
        raise typer.Exit(run_role(role[0].value, taken))
    import logging

    from gateway import app as site
    from gateway.checking import errors_of, examine, warnings_in
    from gateway.runtime.child import die_with_parent
    from gateway.runtime.supervisor import Supervisor

    die_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s gasgate %(levelname)s: %(message)s")
    findings = examine(taken)
    if problems := errors_of(findings):
        raise ConfigError(problems)
    for warning in warnings_in(findings):
        logging.getLogger(__name__).warning("%s", warning)
    if logs is not None:
        logs.mkdir(parents=True, exist_ok=True)
    chosen = [one.value for one in (role or list(Role))]
    listening = {Role.KEEP: loaded.keep.listen, Role.WEB: loaded.web.listen}
    site.wait_for_ports([address for one, address in listening.items() if one in chosen])
    site.begin(taken)
    raise typer.Exit(Supervisor(config.resolve(), chosen, logs, data=loaded.data.folder).run())


@app.command()
def reload(
    config: ConfigFile,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    out_file: Annotated[Path | None, typer.Option("--out", help="Also write it as JSON to this file.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder of the gateway that runs.", hidden=True)] = None,
    who: Annotated[str, typer.Option(help="In whose name; for the audit trail.", hidden=True)] = "",
) -> None:
    """Apply a changed configuration to the running gateway; links that did not change keep their connection.

    Everything is checked first: a wrong configuration changes nothing.

    Exit code 0: it runs. 1: a part of the gateway did not take it, or none runs. 2: refused.

    Example: gasgate reload gasgate.toml
    """
    import getpass
    import logging
    from dataclasses import asdict

    from gateway.reloading import reload as do_reload

    logging.basicConfig(level=logging.WARNING)
    outcome = do_reload(config, who or f"{getpass.getuser()} on the command line", data)
    answer = json.dumps(asdict(outcome), ensure_ascii=False)
    if out_file is not None:
        out_file.write_text(answer, encoding="utf-8")
    if as_json:
        out.print_json(answer)
    else:
        for problem in outcome.problems:
            err.print(f"[bold red]error[/] {escape(problem)}", soft_wrap=True)
        for warning in outcome.warnings:
            err.print(f"[bold yellow]warning[/] {escape(warning)}", soft_wrap=True)
        out.print(f"{outcome.outcome}: revision {outcome.revision} runs", soft_wrap=True)
        for role, told in outcome.roles.items():
            out.print(f"  {role}: {escape(told)}", soft_wrap=True)
    raise typer.Exit({"refused": 2, "failed": 1}.get(outcome.outcome, 0))


@app.command()
def check(
    config: Annotated[
        Path | None, typer.Argument(help="The site's configuration file (TOML).", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print errors and warnings as a JSON list.")] = False,
    keys: Annotated[bool, typer.Option("--keys", help="List every key with its meaning instead.")] = False,
) -> None:
    """Check a configuration without touching the network; names file, line, column, key and remedy of each problem.

    Exit code 0: it can run. 1: it can, but there are warnings. 2: it cannot.

    Example: gasgate check gasgate.toml
    """
    from dataclasses import asdict

    from gateway.checking import check_file
    from gateway.config_keys import describe

    if keys:
        for key, meaning in describe():
            out.print(f"[bold]{escape(key)}[/]  {escape(meaning)}", soft_wrap=True)
        return
    if config is None:
        raise typer.BadParameter("name the site's configuration file", param_hint="CONFIG")
    findings = check_file(config)
    failed = any(one.fatal for one in findings)
    if as_json:
        out.print_json(json.dumps([asdict(one) for one in findings], ensure_ascii=False))
    else:
        for one in findings:
            colour = "red" if one.fatal else "yellow"
            err.print(f"[bold {colour}]{one.level}[/] {escape(str(one))}", soft_wrap=True)
        if not failed:
            said = f"it can run, warnings: {len(findings)}" if findings else "no problems found"
            out.print(f"{escape(str(config))}: {said}", soft_wrap=True)
    raise typer.Exit(2 if failed else 1 if findings else 0)


@app.command()
def probe(
    config: ConfigFile,
    name: Annotated[str, typer.Argument(help="An asset read over Modbus, or the name of a source or an output.")],
    seconds: Annotated[float, typer.Option(help="How long to listen to an MQTT source.", min=0.1, max=600)] = 10,
) -> None:
    """Read one device or topic once, for real, and show plan, raw words and decoded values. Never writes to a device.

    Exit code 0: done. 1: it cannot be reached. 2: there is nothing of this name, or a wrong configuration.

    Example: gasgate probe gasgate.toml S-01
    """
    import asyncio

    from gateway.config import load
    from gateway.probing import probe_any, render, went_well

    probed = asyncio.run(probe_any(load(config), name, seconds))
    out.print(render(probed))
    raise typer.Exit(0 if went_well(probed) else 1)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def simulate(context: typer.Context) -> None:
    """Serve a simulated city, or write one as a dataset; see `gasgate simulate --help`.

    Example: gasgate simulate dataset city/ --seed 1
    """
    try:
        from simulators.__main__ import app as simulators
    except ModuleNotFoundError as error:
        raise GatewayError(
            f"the simulators need {error.name}: install gasgate with its extra, gasgate[simulators]"
        ) from error
    simulators(context.args, prog_name="gasgate simulate")


@app.command(epilog=EXIT_CODES)
def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo keeps everything.")] = Path(".demo"),
    speed: Annotated[float, typer.Option(help="City seconds per real second.", min=1, max=3600)] = 30,
    port: Annotated[int, typer.Option(help="Port of the pages; 0 takes a free one.", min=0, max=65535)] = 0,
) -> None:
    """Start a small simulated city with the gateway beside it; Ctrl-C ends everything.

    Example: gasgate demo --speed 60
    """
    from gateway.demo import run_demo

    raise typer.Exit(run_demo(folder, speed=speed, port=port, console=out))


# after those that run a site
app.add_typer(data)
app.add_typer(examine)
app.add_typer(users, name="user")
