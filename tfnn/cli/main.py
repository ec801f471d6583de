"""Parsing, dispatch, and errors in one line."""

import argparse
import signal
import sys
import warnings

import tensorflow as tf

from tfnn.cli import augment, backbones, diagnose, export, inspect, lr_find, predict, serve, train, transfer
from tfnn.training import NonFiniteError

COMMANDS = {
    "train": train,
    "transfer": transfer,
    "export": export,
    "inspect": inspect,
    "predict": predict,
    "serve": serve,
    "diagnose": diagnose,
    "lr-find": lr_find,
    "augment": augment,
    "backbones": backbones,
}


def main(arguments=None):
    """Runs one command. Gives its exit code: 0, 2 for what the user can mend, 130 after Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(
        prog="tfnn",
        description='The training recipe of the lecture "Neural networks: tips, tricks & software" on Keras and TensorFlow.',
        epilog="tfnn COMMAND --help tells more.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        summary, _, details = module.__doc__.partition("\n")
        command = commands.add_parser(
            name, help=summary, description=f"{summary}\n{details}", formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    words = sys.argv[1:] if arguments is None else arguments
    parsed = parser.parse_args(words)
    parsed.words = words[1:]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = lambda warning, *where: print(f"tfnn: {one_line(warning)}", file=sys.stderr)
            return parsed.run(parsed)
    except (ValueError, OSError, NonFiniteError) as error:
        print(f"tfnn: error: {one_line(error)}", file=sys.stderr)
        return 2
    except (MemoryError, tf.errors.ResourceExhaustedError):
        print("tfnn: error: out of memory; choose a smaller batch, image or model", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ntfnn: interrupted", file=sys.stderr)
        return 130


def one_line(error):
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
