"""`--resume DIR`: the options of a run that goes on are those that its folder holds."""

import argparse
import json
import pathlib

PLANS = "grow_batch", "plan"  # by epoch, which JSON makes text of


def resumed(options, command, add_arguments):
    """The options of the run that goes on with `--resume`; those given where there is none."""
    if not options.resume:
        return options
    given = given_among(options.words, add_arguments)
    del given["resume"]
    defaults = vars(parser_of(add_arguments).parse_args([]))  # of options that came later than the run
    return argparse.Namespace(**(defaults | options_of(options.resume, given, command)))


def options_of(folder, given, command):
    """The options in a run folder's config.json, as the parser gives them.

    Args:
        folder: of a run that was killed, interrupted or finished.
        given: {option: value} of what the user typed beside --resume, which may only repeat them.
        command: whose run it must be.

    Raises:
        ValueError: for what is no folder of a run, and for an option that contradicts.
    """
    config = pathlib.Path(folder) / "config.json"
    try:
        options = json.loads(config.read_text())
        made_by = options.pop("command", "train")  # which older runs do not tell
        for name in options.keys() & set(PLANS):
            options[name] = {int(epoch): value for epoch, value in options[name].items()}
    except OSError as error:
        raise ValueError(f"--resume {folder}: no run of tfnn {command} to go on with, {config}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"--resume {folder}: {config} is damaged") from None
    if made_by != command:
        raise ValueError(f"--resume {folder}: it is a run of tfnn {made_by}, not of tfnn {command}")
    for name, value in given.items():
        wanted = folder if name == "out" else options.get(name)
        same = pathlib.Path(value).resolve() == pathlib.Path(wanted).resolve() if name == "out" else value == wanted
        if not same:
            raise ValueError(
                f"{option(name)} {value} contradicts the run in {folder}, which has {wanted}: leave {option(name)} out"
            )
    return options | {"out": folder, "resume": folder}


def option(name):
    """As it is typed."""
    return f"--{name.replace('_', '-')}"


def given_among(words, add_arguments):
    """{option: value} of those that stand among `words`, without the defaults of the others."""
    parser = parser_of(add_arguments)
    nothing = argparse.Namespace(**dict.fromkeys(vars(parser.parse_args([]))))  # what is there takes no default
    return {name: value for name, value in vars(parser.parse_args(words, nothing)).items() if value is not None}


def parser_of(add_arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser
