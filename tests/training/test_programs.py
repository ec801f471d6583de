"""Whole programs in the manner of Keras's guides and examples: with `model.fit` replaced by `tfnn.fit`, and nothing else."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn

LAYERS = keras.layers


def tickets(fit, folder):
    """Functional, several inputs and outputs: the priority and the department of customers' tickets."""
    titles, bodies = np.random.RandomState(1).randint(1, 30, (48, 5)), np.random.RandomState(2).randint(1, 30, (48, 9))
    tags = np.random.RandomState(3).randint(0, 2, (48, 4)).astype("float32")
    priority, department = tags.mean(-1, keepdims=True), titles[:, 0] % 3

    title = keras.Input((None,), name="title")
    body = keras.Input((None,), name="body")
    tag = keras.Input((4,), name="tags")
    x = LAYERS.concatenate([LAYERS.LSTM(6)(LAYERS.Embedding(30, 5)(title)), LAYERS.LSTM(4)(LAYERS.Embedding(30, 5)(body)), tag])
    outputs = [LAYERS.Dense(1, name="priority")(x), LAYERS.Dense(3, name="department")(x)]
    model = keras.Model([title, body, tag], outputs)
    model.compile(
        keras.optimizers.RMSprop(1e-3),
        {
            "priority": keras.losses.MeanSquaredError(),
            "department": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        },
        loss_weights={"priority": 1.0, "department": 0.2},
        metrics={"priority": "mae", "department": "accuracy"},
    )
    history = fit(
        model,
        {"title": titles, "body": bodies, "tags": tags},
        {"priority": priority, "department": department},
        epochs=2,
        batch_size=10,
        validation_split=0.2,
        shuffle=False,
        verbose=0,
    )
    return [model], history


class Sampling(LAYERS.Layer):
    """z = mean + exp(log_var / 2) ε."""

    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(7)

    def call(self, inputs):
        mean, log_var = inputs
        return mean + tf.exp(0.5 * log_var) * keras.random.normal(tf.shape(mean), seed=self.seeds)


class VAE(keras.Model):
    """Variational autoencoder with a `train_step` and metrics of its own (Kingma & Welling 2013, arXiv:1312.6114)."""

    def __init__(self):
        super().__init__()
        image = keras.Input((6, 6, 1))
        x = LAYERS.Dense(8, "relu")(LAYERS.Flatten()(LAYERS.Conv2D(4, 3, strides=2, padding="same", activation="relu")(image)))
        mean, log_var = LAYERS.Dense(2)(x), LAYERS.Dense(2)(x)
        self.encoder = keras.Model(image, [mean, log_var, Sampling()([mean, log_var])])
        code = keras.Input((2,))
        x = LAYERS.Reshape((3, 3, 4))(LAYERS.Dense(36, "relu")(code))
        self.decoder = keras.Model(code, LAYERS.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid")(x))
        self.total, self.image_loss, self.kl_loss = (
            keras.metrics.Mean(name=name) for name in ("loss", "image_loss", "kl_loss")
        )

    @property
    def metrics(self):
        return [self.total, self.image_loss, self.kl_loss]

    def train_step(self, data):
        with tf.GradientTape() as tape:
            mean, log_var, z = self.encoder(data)
            image = self.decoder(z)
            image_loss = tf.reduce_mean(tf.reduce_sum(keras.losses.binary_crossentropy(data, image), axis=(1, 2)))
            kl_loss = tf.reduce_mean(tf.reduce_sum(-0.5 * (1 + log_var - tf.square(mean) - tf.exp(log_var)), axis=1))
            total = image_loss + kl_loss
        gradients = tape.gradient(total, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights))
        for metric, value in zip(self.metrics, (total, image_loss, kl_loss)):
            metric.update_state(value)
        return {metric.name: metric.result() for metric in self.metrics}


def variational_autoencoder(fit, folder):
    """Subclass: two models inside, own step, own metrics, data without labels."""
    images = np.random.RandomState(4).uniform(size=(40, 6, 6, 1)).astype("float32")
    vae = VAE()
    vae.compile(optimizer=keras.optimizers.Adam())
    history = fit(vae, images, epochs=3, batch_size=16, shuffle=False, verbose=0)
    return [vae.encoder, vae.decoder], history


class GAN(keras.Model):
    """Generator against discriminator, each with its optimizer (Goodfellow et al. 2014, arXiv:1406.2661)."""

    def __init__(self, discriminator, generator):
        super().__init__()
        self.discriminator, self.generator = discriminator, generator
        self.seeds = keras.random.SeedGenerator(8)
        self.d_loss, self.g_loss = keras.metrics.Mean(name="d_loss"), keras.metrics.Mean(name="g_loss")

    @property
    def metrics(self):
        return [self.d_loss, self.g_loss]

    def compile(self, d_optimizer, g_optimizer, loss_fn):
        super().compile()
        self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn

    def train_step(self, real):
        size = tf.shape(real)[0]
        fakes = self.generator(keras.random.normal((size, 3), seed=self.seeds))
        labels = tf.concat([tf.ones((size, 1)), tf.zeros((size, 1))], 0)
        with tf.GradientTape() as tape:
            d_loss = self.loss_fn(labels, self.discriminator(tf.concat([fakes, real], 0)))
        weights = self.discriminator.trainable_weights
        self.d_optimizer.apply_gradients(zip(tape.gradient(d_loss, weights), weights))
        with tf.GradientTape() as tape:
            judged = self.discriminator(self.generator(keras.random.normal((size, 3), seed=self.seeds)))
            g_loss = self.loss_fn(tf.zeros((size, 1)), judged)
        weights = self.generator.trainable_weights
        self.g_optimizer.apply_gradients(zip(tape.gradient(g_loss, weights), weights))
        self.d_loss.update_state(d_loss)
        self.g_loss.update_state(g_loss)
        return {"d_loss": self.d_loss.result(), "g_loss": self.g_loss.result()}


class Sampled(keras.callbacks.Callback):
    """Draws from the generator after each epoch, as a monitor of a GAN does."""

    def on_epoch_end(self, epoch, logs=None):
        logs["spread"] = float(tf.math.reduce_std(self.model.generator(tf.ones((4, 3)))))


def adversarial_networks(fit, folder):
    """Subclass: two optimizers, `compile` of its own, a dataset without labels, a callback that reaches into the model."""
    discriminator = keras.Sequential([keras.Input((5,)), LAYERS.Dense(8), LAYERS.LeakyReLU(0.2), LAYERS.Dense(1)])
    generator = keras.Sequential([keras.Input((3,)), LAYERS.Dense(8, "relu"), LAYERS.BatchNormalization(), LAYERS.Dense(5)])
    gan = GAN(discriminator, generator)
    gan.compile(
        d_optimizer=keras.optimizers.Adam(3e-3),
        g_optimizer=keras.optimizers.Adam(3e-3),
        loss_fn=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    real = tf.data.Dataset.from_tensor_slices(np.random.RandomState(5).normal(2, 1, (60, 5)).astype("float32")).batch(16)
    history = fit(gan, real, epochs=3, verbose=0, callbacks=[Sampled()])
    return [discriminator, generator], history


def pictures_from_a_folder(fit, folder):
    """PNG files in a folder for each class, `image_dataset_from_directory`, a CNN, checkpoint and early stopping."""
    random = np.random.RandomState(6)
    for kind, name in enumerate(("circles", "squares")):
        (folder / "images" / name).mkdir(parents=True)
        for index in range(15):
            pixels = random.randint(0, 120, (9, 8, 3)) + 120 * kind
            keras.utils.save_img(folder / "images" / name / f"{index}.png", pixels, scale=False)
    options = {"validation_split": 0.2, "seed": 1337, "image_size": (8, 8), "batch_size": 7}
    training, validation = keras.utils.image_dataset_from_directory(folder / "images", subset="both", verbose=False, **options)
    training, validation = (part.cache().prefetch(tf.data.AUTOTUNE) for part in (training, validation))

    inputs = keras.Input((8, 8, 3))
    x = LAYERS.Rescaling(1 / 255)(inputs)
    for filters in 4, 6:
        x = LAYERS.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = LAYERS.MaxPooling2D()(LAYERS.Activation("relu")(LAYERS.BatchNormalization()(x)))
    model = keras.Model(inputs, LAYERS.Dense(1)(LAYERS.GlobalAveragePooling2D()(x)))
    model.compile(
        keras.optimizers.Adam(3e-4),
        keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.BinaryAccuracy(name="acc")],
    )
    callbacks = [
        keras.callbacks.ModelCheckpoint(folder / "save_at_{epoch}.keras"),
        keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True),
    ]
    history = fit(model, training, epochs=3, callbacks=callbacks, validation_data=validation, verbose=0)
    saved = keras.saving.load_model(folder / "save_at_3.keras")
    return [model, saved], history


def sentences(fit, folder):
    """Text: TextVectorization in the pipeline, batches of their own length, masking through a bidirectional LSTM."""
    words = ["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree", "quickly", "never"]
    random = np.random.RandomState(9)
    texts = [" ".join(random.choice(words, random.randint(2, 12))) for _ in range(50)]
    labels = np.array([("cat" in text) != ("ran" in text) for text in texts], "float32")[:, None]
    raw = tf.data.Dataset.from_tensor_slices((texts, labels))
    vectorize = LAYERS.TextVectorization(max_tokens=20)
    vectorize.adapt(raw.map(lambda text, label: text).batch(25))
    batches = raw.batch(12).map(lambda text, label: (vectorize(text), label))

    inputs = keras.Input((None,), dtype="int64")
    x = LAYERS.Embedding(20, 6, mask_zero=True)(inputs)
    x = LAYERS.Bidirectional(LAYERS.LSTM(4, return_sequences=True))(x)
    x = LAYERS.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, LAYERS.Dense(1, "sigmoid")(x))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    callbacks = [keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=9)]
    history = fit(model, batches.take(4), epochs=3, validation_data=batches.skip(4), callbacks=callbacks, verbose=0)
    return [model], history


PROGRAMS = {
    tickets: {},
    variational_autoencoder: {},
    adversarial_networks: {"jit_compile": False},  # what keras.random draws under XLA are other numbers
    pictures_from_a_folder: {},
    sentences: {},
}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_a_program_ends_where_it_ends_with_model_fit(program, tmp_path):
    """All its random numbers come from seeds: of Keras's generators, of tf.data, or of Python's for initial weights."""
    results = []
    for name, fit in ("theirs", keras.Model.fit), ("ours", functools.partial(tfnn.fit, **PROGRAMS[program])):
        keras.utils.set_random_seed(11)
        (tmp_path / name).mkdir()
        results.append(program(fit, tmp_path / name))
    (theirs, expected), (ours, found) = results
    for a, b in zip(ours, theirs, strict=True):
        for x, y in zip(a.get_weights(), b.get_weights(), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-4, atol=2e-5)
    assert list(found.history) == list(expected.history)
    for name, values in expected.history.items():
        np.testing.assert_allclose(found.history[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    assert found.traces == 1
