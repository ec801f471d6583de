"""Training in a static graph: `fit`, `evaluate` and `predict` in place of the model's methods.

What `tfnn.fit(model, x, y, ...)` does, with the names of the functions that do it:

    request = checked(Request(...))                      request.py: the arguments, of one form; the checkpoint to go on from
    run, line = prepared(request)                        prepare.py: sources, callbacks, graph, saver: nothing trains yet
    run.train(line):                                     loop/run.py
        callbacks.on_train_begin()
        restore the checkpoint, if any
        for epoch in epochs:
            callbacks.on_epoch_begin(epoch)
            where a callback froze or unfroze layers: another phase
            source.seek(pass)
            while the source has examples:
                callbacks.on_update_begin(update)        those that steer: rate, batch size
                callbacks.on_train_batch_begin(step)
                graph.advance(source, limit):            a piece: one call of the graph, for about half a second
                    while updates < limit:               graph/array_graph.py, graph/stream_graph.py
                        while parts of this update are left:
                            augment, forward, loss, backward, metrics        graph/step.py
                        optimizer.apply(mean of the gradients)
                    a number is not finite: put back what the call changed
                callbacks.on_train_batch_end(step, logs) once for the piece; a callback with a batch hook makes each update one
                saver.save(source)                       resume/saver.py: where it is due
                SIGTERM came: save, leave
            validate(); callbacks.on_epoch_end(epoch, logs); saver.save(source)
        callbacks.on_train_end(logs)

The rooms, from the ground up; a module calls those below it and none that is nearer to `fit`:

    source/    what is read: it seeks a place and yields batches, and knows nothing of graphs
    graph/     what is traced: the step on a batch, the loops around it, what XLA compiles, how the model is seen
    resume/    what is saved: the state of a run as arrays and JSON, the files, what must be the same to go on
    loop/      what the host does between two calls of the graph: epochs, callbacks, signals, the first line

The words, each for one thing:

    update     one change of the weights, by an optimizer; Keras counts it as a step of its epoch
    part       one of the micro-batches whose gradients an update sums
    piece      the updates of one call of the graph
    pass       once through a source; an epoch is one, unless `steps_per_epoch` says otherwise
    place      where in a pass the next update begins
    phase      what is trained on what, as long as no layer is frozen or unfrozen
    tail       the last, smaller batch of a pass
    key        of random numbers: (seed, pass, examples); of a graph: what it was made for

A checkpoint holds all variables that an update reads or changes, by their place in the model (graph/variables.py); the state
of callbacks (resume/callback_state.py); how far the run is, where its source stands, the batch in force, and the settings on
which the order of examples depends (resume/saver.py); and the form of the model, to be compared (resume/fingerprint.py).
"""

from tfnn.training.evaluate import evaluate
from tfnn.training.fit import fit
from tfnn.training.graph.nonfinite import NonFiniteError
from tfnn.training.predict import predict
