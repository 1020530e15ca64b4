"""Tabular detectors on the data of notebook 01: time to train, and what is found."""

import numpy as np
from common import clock, detection, matmul_rate, multiply_adds, say, section, timed
from sklearn.covariance import EllipticEnvelope, EmpiricalCovariance
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from helpers import dense_autoencoder, load_tabular, reconstruction_error, set_seed, train

SEED = 0


def ours(x):
    set_seed(SEED)
    scaler = StandardScaler().fit(x)
    z = scaler.transform(x)
    carried = np.cumsum(PCA().fit(z).explained_variance_ratio_)
    model = dense_autoencoder(x.shape[1], int(np.argmax(carried >= 0.98)) + 1)
    train(model, z, epochs=5, batch_size=256)
    return lambda rows: reconstruction_error(model, scaler.transform(rows))


def dense_recipe(x, widths, loss, epochs, batch_size, x_test, **settings):
    """Train a recipe from the web as written: no scaling, sigmoid output, the test part as validation data."""
    import keras

    set_seed(SEED)
    hidden = [keras.layers.Dense(units, activation="relu") for units in widths]
    model = keras.Sequential([keras.Input((32,)), *hidden, keras.layers.Dense(32, activation="sigmoid")])
    model.compile(optimizer="adam", loss=loss, **settings)
    model.fit(x, x, epochs=epochs, batch_size=batch_size, validation_data=(x_test, x_test), verbose=0)
    return lambda rows: reconstruction_error(model, rows, error=loss)


def recipe_a(x, x_test, **settings):
    return dense_recipe(x, (16, 8, 4, 8, 16), "mae", 20, 64, x_test, **settings)


def recipe_b(x, x_test):
    return dense_recipe(x, (32, 16, 8, 16, 32), "mse", 50, 32, x_test)


def pyod(name, x, scale=True, **settings):
    """Fit a detector of PyOD; its own scores of the training rows are part of its fit."""
    from importlib import import_module

    module, model = name.rsplit(".", 1)
    scaler = StandardScaler().fit(x) if scale else None
    ready = scaler.transform if scale else np.asarray
    detector = getattr(import_module(f"pyod.models.{module}"), model)(**settings).fit(ready(x))
    return lambda rows: detector.decision_function(ready(rows))


def sklearn_detector(detector, x, rows=None):
    scaler = StandardScaler().fit(x)
    detector.fit(scaler.transform(x)[:rows])
    return lambda test: -detector.score_samples(scaler.transform(test))


def mahalanobis(x):
    normal = EmpiricalCovariance().fit(x)
    return normal.mahalanobis


def pca_residual(x):
    scaler = StandardScaler().fit(x)
    pca = PCA(24).fit(scaler.transform(x))

    def score(rows):
        z = scaler.transform(rows)
        return ((z - pca.inverse_transform(pca.transform(z))) ** 2).mean(axis=1)

    return score


def candidates(x, x_test, full):
    """Names, who makes them, and how to train them."""
    quiet = {"random_state": SEED, "verbose": 0}
    some = x[:10_000]
    found = {
        ("our recipe", "ours"): lambda: ours(x),
        ("recipe A", "web"): lambda: recipe_a(x, x_test),
        ("recipe A, 32 batches a call, no XLA", "web"): lambda: recipe_a(
            x, x_test, steps_per_execution=32, jit_compile=False
        ),
        ("PyOD AutoEncoder, defaults", "PyOD"): lambda: pyod("auto_encoder.AutoEncoder", x, False, **quiet),
        ("PyOD AutoEncoder, our layers", "PyOD"): lambda: pyod(
            "auto_encoder.AutoEncoder", x, False, hidden_neuron_list=[64, 24], **quiet
        ),
        ("PyOD ECOD", "PyOD"): lambda: pyod("ecod.ECOD", x),
        ("PyOD COPOD", "PyOD"): lambda: pyod("copod.COPOD", x),
        ("PyOD HBOS", "PyOD"): lambda: pyod("hbos.HBOS", x),
        ("PyOD PCA", "PyOD"): lambda: pyod("pca.PCA", x),
        ("PyOD KNN, 10,000 rows", "PyOD"): lambda: pyod("knn.KNN", some),
        ("scikit-learn IsolationForest", "scikit-learn"): lambda: sklearn_detector(
            IsolationForest(random_state=SEED), x
        ),
        ("scikit-learn LocalOutlierFactor, 10,000 rows", "scikit-learn"): lambda: sklearn_detector(
            LocalOutlierFactor(novelty=True), x, 10_000
        ),
        ("scikit-learn OneClassSVM, 10,000 rows", "scikit-learn"): lambda: sklearn_detector(
            OneClassSVM(nu=0.01), x, 10_000
        ),
        ("scikit-learn EllipticEnvelope", "scikit-learn"): lambda: sklearn_detector(
            EllipticEnvelope(random_state=SEED), x
        ),
        ("PCA residual, 24 components", "scikit-learn"): lambda: pca_residual(x),
        ("Mahalanobis distance", "scikit-learn"): lambda: mahalanobis(x),
    }
    if full:
        found["recipe B", "web"] = lambda: recipe_b(x, x_test)
    return found


def where_the_time_goes(x):
    """Split the training time of our recipe: what is paid once, what each epoch costs, what is arithmetic."""
    import keras

    set_seed(SEED)
    z = StandardScaler().fit_transform(x).astype(np.float32)
    model = dense_autoencoder(32, 24)

    def one(epochs):
        return clock(lambda: train(model, z, epochs=epochs, batch_size=256))[0]

    few, many = (min(one(epochs) for _ in range(3)) for epochs in (1, 6))
    per_epoch = (many - few) / 5
    # Forward once, and in the backward pass once for the inputs and once for the weights.
    flops = 3 * 2 * multiply_adds(model) * len(z)

    def as_keras_does(epochs):
        model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse", steps_per_execution=32, jit_compile=False)
        return clock(lambda: model.fit(z, z, epochs=epochs, batch_size=256, verbose=0))[0]

    return {
        "once": few - per_epoch,
        "traced twice": min(as_keras_does(1) for _ in range(3)) - per_epoch,
        "per epoch": per_epoch,
        "arithmetic per epoch": flops / matmul_rate(),
    }


def measure(full):
    rows = {}
    for data_seed in range(5 if full else 1):
        data = load_tabular(data_seed)
        if data_seed == 0:
            ours(data.x_train[:1000])  # what the process pays once
        for (name, maker), fit in candidates(data.x_train, data.x_test, full).items():
            once = data_seed > 0
            time, score = clock(fit) if once else timed(fit)
            scores = score(data.x_test)
            found = {"noisy": detection(data.y_test, scores), "true": detection(data.y_test_true, scores)}
            row = rows.setdefault(name, {"name": name, "maker": maker, "train": time, "detection": []})
            row["detection"].append(found)
            seconds = time if once else time["median"]
            say(f"{name}: {seconds:.2f} s, average precision {found['noisy']['average precision']:.3f}")
        if data_seed == 0:
            profile = where_the_time_goes(data.x_train)
    return {"rows": list(rows.values()), "profile": profile}


if __name__ == "__main__":
    section(__file__, measure)
