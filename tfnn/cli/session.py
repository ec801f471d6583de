"""One run of a command that trains: its folder, the training, the exported model, and what is printed.

The command brings a job, which knows its model and its data:

    command             the name of the command
    name                a part of the default name of the run's folder
    options, data       as they were parsed and read
    threads             how many threads an operation takes, in words
    board               further arguments of the callback `TensorBoard`
    model()             makes the compiled model
    introduction(model) lines on the data and the model
    train(model, callbacks, verbose, resume)
    judge(model, path)  what the test part says of the model, for JSON; pictures go to the run's folder `path`
    report(path, result)  lines on the result
"""

import datetime
import functools
import pathlib
import shutil

import keras
import tensorflow as tf

import tfnn
from tfnn import distribute
from tfnn.cli import next_steps
from tfnn.cli.bundle import description, served
from tfnn.cli.interruptible import trained
from tfnn.cli.pictures import write_examples
from tfnn.cli.run_folder import RunFolder, check_writable


def run(job):
    """Trains, judges and exports the model of a job. Gives the exit code: 0, or 130 after Ctrl-C."""
    options = job.options
    folder = RunFolder(options.out or default_path(job), resumed=bool(options.resume))
    if finished := folder.finished():  # exit code 0, so that a supervisor stops restarting
        print(f"the run in {folder.path} is finished\n{conclusion(job, folder.path, finished)}")
        return 0
    export_to = pathlib.Path(options.export or folder.path / "bundle")
    check_writable(export_to)
    with folder, distribute.strategy(options.strategy).scope():
        model = job.model()
        where = {"device": distribute.device_type(model.distribute_strategy), "threads": job.threads}
        print(introduction(job, model, where), flush=True)
        if not options.resume:
            folder.configure(job.command, options, description(job.data))
        training = trained(model, folder, functools.partial(job.train, model, callbacks(job, folder)))
        result = where | training | job.judge(model, folder.path) | {"bundle": None}
        folder.write("result.json", result)
        if not result["interrupted"]:
            export(job, model, export_to, folder, result)
    print(conclusion(job, folder.path, result))
    return 130 if result["interrupted"] else 0


def default_path(job):
    return f"runs/{job.name}-{datetime.datetime.now().strftime('%Y%m%d-%H%M%S')}"


def callbacks(job, folder):
    """What shows and saves the run; the training itself may need more callbacks."""
    board = tfnn.callbacks.TensorBoard(folder.path / "logs", **job.board)
    return [board, tfnn.callbacks.Checkpoint(folder.checkpoints, max_to_keep=2)]


def export(job, model, directory, folder, result):
    """Exports a model that is trained to the end. The result then names the bundle, and checkpoints are needed no more."""
    result["bundle"] = str(tfnn.export(model, directory, **served(description(job.data), result)))
    write_examples(job.data, folder.path / "examples")
    folder.write("result.json", result)
    shutil.rmtree(folder.checkpoints)


# What is printed -----------------------------------------------------------------------------------------------------


def introduction(job, model, where):
    return "\n".join(
        [
            f"tfnn {tfnn.__version__}, Keras {keras.__version__}, TensorFlow {tf.__version__}",
            *job.introduction(model),
            f"device  {where['device']}, {where['threads']}",
        ]
    )


def data_line(data):
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    sizes = ", ".join(f"{len(part.y)} {name}" for name, part in parts.items())
    return f"data    {data.name}: {sizes}; images {'×'.join(map(str, data.image_shape))}"


def conclusion(job, path, result):
    state = "interrupted; what was reached is kept" if result["interrupted"] else "done"
    return "\n".join([state, *job.report(path, result), *next_steps.of_run(job.command, path, result)])


def accuracy_line(result, images):
    low, high = result["test_accuracy_interval"]
    return f"test accuracy {result['test_accuracy']:.2%} (95% interval {low:.2%} to {high:.2%}) on {images} images"


def effort_line(result):
    traces = result["traces"]
    return f"{result['train_seconds']} s, {result['updates']} updates, {traces} trace{'s' * (traces != 1)}"
