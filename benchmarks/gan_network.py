"""The GAN of notebook 03: the layers and the training step that the notebook shows; a test holds the layers equal."""

import keras
import tensorflow as tf
from keras import layers


def build_generator(n_noise=32):
    inputs = keras.Input((n_noise,))
    x = layers.Dense(7 * 7 * 32, use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Reshape((7, 7, 32))(x)
    x = layers.Conv2DTranspose(16, 4, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    outputs = layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="sigmoid")(x)
    return keras.Model(inputs, outputs, name="generator")


def build_discriminator():
    inputs = keras.Input((28, 28, 1))
    x = inputs
    for n_filters in (16, 32):
        x = layers.LeakyReLU(0.2)(layers.Conv2D(n_filters, 4, strides=2, padding="same")(x))
        x = layers.Dropout(0.3)(x)
    features = layers.LeakyReLU(0.2, name="features")(layers.Dense(64)(layers.Flatten()(x)))
    return keras.Model(inputs, layers.Dense(1, name="logit")(features), name="discriminator")


def answer(target, logits):
    """Mean cross-entropy between the logits and one target for all."""
    targets = tf.fill(tf.shape(logits), target)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits))


class GAN(keras.Model):
    def __init__(self, generator, discriminator, learning_rates=(6e-4, 4e-4)):
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        optimizers = [keras.optimizers.Adam(rate, beta_1=0.5) for rate in learning_rates]
        self.players = list(zip((generator, discriminator), optimizers, strict=True))
        for network, optimizer in self.players:
            optimizer.build(network.trainable_variables)
        features = discriminator.get_layer("features").output
        self.look = tf.function(keras.Model(discriminator.input, [features, discriminator.output]))
        self.loss_means = [keras.metrics.Mean(name) for name in ("generator", "discriminator")]

    @property
    def metrics(self):
        return self.loss_means

    def train_step(self, real):
        noise = tf.random.normal((tf.shape(real)[0], self.generator.input_shape[1]))
        with tf.GradientTape(persistent=True) as tape:
            on_fake = self.discriminator(self.generator(noise, training=True), training=True)
            on_real = self.discriminator(real, training=True)
            losses = [answer(1.0, on_fake), answer(0.9, on_real) + answer(0.0, on_fake)]
        for (network, optimizer), loss, mean in zip(self.players, losses, self.loss_means, strict=True):
            optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)
            mean.update_state(loss)
        return {mean.name: mean.result() for mean in self.loss_means}


def judge(gan, x):
    """Return the 64 features (n, 64) and the logit (n,) of images, dropout off."""
    features, logit = gan.look(tf.convert_to_tensor(x), training=False)
    return features.numpy(), logit.numpy()[:, 0]
