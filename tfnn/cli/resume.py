"""`--resume DIR`: a run that goes on takes all options from its folder."""

import argparse
import json
import pathlib

from tfnn.cli.options import as_typed

PLANS = "grow_batch", "plan"  # {epoch: ...}; JSON turns the epochs into text


def resumed(options, command, add_arguments):
    """The options of the run that `--resume` names. Without `--resume`, the options as they are."""
    if not options.resume:
        return options
    given = given_among(options.words, add_arguments)
    del given["resume"]
    defaults = vars(parser_of(add_arguments).parse_args([]))  # for options that are newer than the run
    return argparse.Namespace(**(defaults | options_of(options.resume, given, command)))


def options_of(folder, given, command):
    """The options in a run folder's config.json, as the parser gives them.

    Args:
        folder: that of a run that was killed, interrupted or finished.
        given: {option: value} of what the user typed beside --resume, which must agree with the folder.
        command: the one that must have made the run.

    Raises:
        ValueError: for a folder that holds no run, and for an option that contradicts it.
    """
    config = pathlib.Path(folder) / "config.json"
    try:
        options = json.loads(config.read_text())
        made_by = options.pop("command", "train")  # older runs do not tell it
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
                f"{as_typed(name)} {value} contradicts the run in {folder}, which has {wanted}: leave {as_typed(name)} out"
            )
    return options | {"out": folder, "resume": folder}


def given_among(words, add_arguments):
    """{option: value} of the options that stand among `words`, without defaults."""
    parser = parser_of(add_arguments)
    nothing = argparse.Namespace(**dict.fromkeys(vars(parser.parse_args([]))))  # argparse gives no default to what is set
    return {name: value for name, value in vars(parser.parse_args(words, nothing)).items() if value is not None}


def parser_of(add_arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser
