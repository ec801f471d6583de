"""Callbacks of other packages, where these are installed, hear under `tfnn.fit` what they hear under `model.fit`."""

import http.server
import os
import threading

import keras
import numpy as np
import pytest

import tfnn
from tests.training.oracle import HELD, RUN, X, Y, compiled, fit, trained

VALIDATED = {"validation_data": HELD}
FITS = fit, keras.Model.fit


def rounded(told):
    """Numbers to six digits: rounding differs between the two."""
    return keras.tree.map_structure(lambda a: float(f"{a:.5g}") if isinstance(a, (float, np.floating)) else a, told)


def test_keras_own_monitor_posts_each_epoch():
    """`keras.callbacks.RemoteMonitor` is of Keras, and needs a package and a server that are not."""
    pytest.importorskip("requests")
    bodies = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monitor = keras.callbacks.RemoteMonitor(f"http://127.0.0.1:{server.server_port}", send_as_json=True)
        trained(compiled(), {**VALIDATED, "callbacks": [monitor]}, fit)
        server.shutdown()
    assert len(bodies) == RUN["epochs"]
    assert all(b'"val_loss"' in body for body in bodies)


@pytest.mark.slow
@pytest.mark.parametrize("every", [None, 2])
def test_mlflow_keeps_the_same_curves(every, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/runs.db")
    experiment = mlflow.create_experiment("test", (tmp_path / "artifacts").as_uri())

    def curves(fit):
        with mlflow.start_run(experiment_id=experiment) as run:
            callback = mlflow.keras.MlflowCallback(log_every_epoch=every is None, log_every_n_steps=every)
            trained(compiled(), {**VALIDATED, "callbacks": [callback]}, fit)
        client = mlflow.MlflowClient()
        names = sorted(client.get_run(run.info.run_id).data.metrics)
        history = {name: client.get_metric_history(run.info.run_id, name) for name in names}
        return rounded({name: [(one.step, one.value) for one in values] for name, values in history.items()})

    ours, theirs = map(curves, FITS)
    assert ours == theirs
    assert ours["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("every", ["epoch", "batch", 2])
def test_weights_and_biases_logs_the_same(every, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")

    def logs(fit):
        told = []
        with wandb.init(mode="offline", project="test", dir=tmp_path):
            logger = wandb.integration.keras.WandbMetricsLogger(every)
            saver = wandb.integration.keras.WandbModelCheckpoint(tmp_path / fit.__module__ / "{epoch}.keras")
            monkeypatch.setattr(wandb, "log", lambda logs, **more: told.append(dict(logs)))
            trained(compiled(), {**VALIDATED, "callbacks": [logger, saver]}, fit)
            monkeypatch.undo()
        return rounded(told), sorted(os.listdir(tmp_path / fit.__module__))

    pytest.importorskip("wandb.integration.keras")
    ours, theirs = map(logs, FITS)
    assert ours == theirs
    assert len(ours[1]) == RUN["epochs"]


@pytest.mark.slow
def test_comet_hears_epochs(tmp_path):
    comet = pytest.importorskip("comet_ml")
    experiment = comet.OfflineExperiment(project_name="test", offline_directory=str(tmp_path), display_summary_level=0)
    trained(compiled(), {**VALIDATED, "callbacks": [experiment.get_callback("keras")]}, fit)
    assert experiment.get_metric("val_loss") is not None
    experiment.end()


@pytest.mark.slow
def test_optuna_prunes_the_same_trials():
    optuna = pytest.importorskip("optuna")
    callback = pytest.importorskip("optuna_integration").KerasPruningCallback

    def trials(fit):
        def objective(trial):
            make = compiled(optimizer=lambda: keras.optimizers.SGD(trial.suggest_float("rate", 1e-4, 1.0, log=True)))
            history = trained(make, {**VALIDATED, "callbacks": [callback(trial, "val_accuracy")]}, fit)[1].history
            return history["val_accuracy"][-1]

        pruner = optuna.pruners.ThresholdPruner(lower=0.4, n_warmup_steps=1)
        study = optuna.create_study(direction="maximize", pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=1))
        study.optimize(objective, n_trials=5)
        return [(trial.state.name, rounded(trial.intermediate_values)) for trial in study.trials]

    ours, theirs = map(trials, FITS)
    assert ours == theirs
    assert {state for state, _ in ours} == {"PRUNED", "COMPLETE"}


@pytest.mark.slow
def test_keras_tuner_finds_the_same(tmp_path):
    tuner = pytest.importorskip("keras_tuner")

    class Model(tuner.HyperModel):
        def build(self, hp):
            keras.utils.set_random_seed(5)
            return compiled(optimizer=lambda: keras.optimizers.SGD(hp.Float("rate", 1e-3, 1e-1, sampling="log")))()

    class OurModel(Model):
        def fit(self, hp, model, *data, **more):
            return tfnn.fit(model, *data, **more)

    def scores(kind):
        where = {"directory": tmp_path, "project_name": kind.__name__}
        search = tuner.RandomSearch(kind(), objective="val_accuracy", max_trials=3, seed=1, **where)
        search.search(X, Y, **VALIDATED, epochs=2, verbose=0, shuffle=False)
        return [float(trial.score) for trial in search.oracle.get_best_trials(3)]

    np.testing.assert_allclose(scores(OurModel), scores(Model), rtol=1e-5)
