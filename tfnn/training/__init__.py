"""Training in a static graph: `fit`, `evaluate` and `predict` in place of the model's methods.

What `tfnn.fit(model, x, y, ...)` does, with the names of the functions that do it:

    request = checked(Request(...))                      request.py: whole numbers, the seed, the checkpoint to go on from
    run = prepared(request)                              prepare.py: sources, callbacks, graph, saver; nothing trains yet
    run.train():                                         loop/run.py: tells the first line
        callbacks.on_train_begin()
        restore the checkpoint, if any; in the middle of an epoch once more after on_epoch_begin
        for epoch in epochs, until model.stop_training:
            callbacks.on_epoch_begin(epoch)
            where a callback froze or unfroze layers: another phase
            source.seek(pass)                            under steps_per_epoch a pass goes on over several epochs
            while the source has examples and steps_per_epoch are not done:
                callbacks.on_update_begin(update)        those that steer say when they are next due: rate, batch size
                callbacks.on_train_batch_begin(step)
                graph.advance(source, limit, ...):       a piece: about half a second, less where something is due before
                    while updates < limit:               graph/array_graph.py, graph/stream_graph.py
                        while micro-batches of this update are left:
                            augment, forward, loss, backward, metrics        graph/step.py
                        optimizer.apply_gradients(mean of the gradients)
                    a number is not finite: put back what the call changed, of a stream what the update changed;
                    then the host repeats up to there, and raises or skips
                callbacks.on_train_batch_end(step, logs) once for the piece; a callback with a batch hook makes pieces of
                                                         `steps_per_execution` updates
                saver.save(source)                       resume/saver.py: where it is due
                SIGTERM came: save, leave
            validate(), by validation_freq; callbacks.on_epoch_end(epoch, logs); saver.save(source, epoch_end=True)
        optimizer.finalize_variable_values(weights)      where it keeps averages (use_ema)
        callbacks.on_train_end(logs)

The rooms, from the ground up; a module calls its own room and those below:

    source/    what is read: it seeks a place and yields batches, and knows nothing of graphs
    graph/     what is traced: the step on a batch, the loops around it, what XLA compiles, how the model is seen
    resume/    what is saved: the state of a run as arrays and JSON, the files, what must be the same to go on
    loop/      what the host does between two calls of the graph: epochs, callbacks, signals, the first line

The words, each for one thing:

    update     one change of the weights, by an optimizer; Keras counts it as a step of its epoch
    micro-batch  examples of one forward and backward pass; an update may sum the gradients of several
    piece      the updates of one call of the graph
    pass       once through a source; an epoch is one, unless `steps_per_epoch` says otherwise
    place      where in a pass the next update begins
    phase      what is trained on what, as long as no layer is frozen or unfrozen
    tail       the last, smaller batch of a pass
    key        what random numbers are a function of: (seed, pass, examples); a `GraphKey`, what a graph was made for

A checkpoint holds all variables that an update reads or changes, by the index of their weight in the model
(graph/variables.py); Keras's global seed generator; the state of callbacks (resume/callback_state.py); how far the run is, its
last logs, where its source stands, the batch in force, and the settings on which the order of examples depends
(resume/saver.py); and the form of the model, to be compared (resume/fingerprint.py).
"""

from tfnn.training.evaluate import evaluate
from tfnn.training.fit import fit
from tfnn.training.graph.nonfinite import NonFiniteError
from tfnn.training.predict import predict
