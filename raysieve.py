"""The front door: the command line. Everything else is imported when a command needs it."""

import importlib
import sys

import click

from config.errors import RaysieveError

COMMANDS = {
    "run": "stream.commands.live:run",
    "replay": "stream.commands.live:replay",
    "top": "stream.commands.top:top",
    "glimpse": "stream.commands.glimpse:glimpse",
    "keys": "stream.commands.keys:keys",
    "process": "stream.commands.batch:process",
    "catalogue": "stream.commands.catalogue:catalogue",
    "coronae": "stream.commands.coronae:coronae",
    "monitor-calibration": "stream.commands.calibration:monitor_calibration",
    "calibrate-dark": "stream.commands.batch:calibrate_dark",
    "convert": "stream.commands.convert:convert",
    "inspect": "stream.commands.inspect:inspect",
    "explain": "stream.commands.inspect:explain",
    "doctor": "stream.commands.doctor:doctor",
    "simulate": "sim.commands:simulate",
    "analyse": "analyse.commands:analyse",
    "train": "models.commands:train",
    "evaluate": "models.commands:evaluate",
    "export": "export.commands:export",
    "serve": "serve.commands:serve",
    "view": "view.commands:view",
    "demo": "sim.demo:demo",
}
SECTIONS = {  # of the help
    "Look and try": ("demo", "doctor", "inspect", "explain"),
    "Live": ("run", "view", "top", "glimpse", "replay", "keys"),
    "Files": ("process", "calibrate-dark", "convert", "catalogue", "coronae", "monitor-calibration"),
    "Known truth, models, the thorough way": ("simulate", "train", "evaluate", "export", "analyse", "serve"),
}
SENTENCE = 130  # characters of a command's first sentence that are shown


class LazyGroup(click.Group):
    """A group that imports a command's module only when it is called or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table above."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None for an unknown name; one that is not all here says what is missing."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as fault:
            return _not_here(cmd_name, str(fault))
        _hide_empty_defaults(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by what they are for, with their first sentence."""
        for title, names in SECTIONS.items():
            found = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl([(name, one.get_short_help_str(SENTENCE)) for name, one in found if one])


def _hide_empty_defaults(command: click.Command) -> None:
    """Let the help show defaults, but not those that are no text at all."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.default == "":
            parameter.show_default = False
    for one in command.commands.values() if isinstance(command, click.Group) else ():
        _hide_empty_defaults(one)


def _not_here(name: str, why: str) -> click.Command:
    """Return what stands for a command whose modules are not all here: the others go on."""

    def refuse() -> None:
        raise RaysieveError(f"{name}: {why}; expected a whole installation of raysieve")

    anything = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    return click.Command(name, anything, refuse, short_help=f"Not here: {why}.")


SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True}  # of all commands


@click.group(cls=LazyGroup, context_settings=SETTINGS)
@click.version_option(package_name="raysieve")
def cli() -> None:
    """Turn the raw frame stream of an X-ray camera into clean science while it is still running.

    Example: raysieve demo --out out
    """


def main() -> None:
    """Run the command line; every deliberate failure is one clear line and exit code 1."""
    try:
        cli(standalone_mode=True)
    except RaysieveError as fault:
        print(f"raysieve: {fault}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
