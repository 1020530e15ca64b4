"""The GAN of notebook 03: the networks and the step that the notebook shows; a test holds the two equal."""

import keras
import tensorflow as tf
from keras import layers

cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)


def build_generator():
    inputs = keras.Input((32,))
    x = layers.Dense(7 * 7 * 32, use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Reshape((7, 7, 32))(x)
    up = {"kernel_size": 4, "strides": 2, "padding": "same"}
    x = layers.Conv2DTranspose(16, **up, use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    outputs = layers.Conv2DTranspose(1, **up, activation="sigmoid")(x)
    return keras.Model(inputs, outputs)


def build_discriminator():
    x = inputs = keras.Input((28, 28, 1))
    for n in (16, 32):
        x = layers.Conv2D(n, 4, strides=2, padding="same")(x)
        x = layers.Dropout(0.3)(layers.LeakyReLU(0.2)(x))
    x = layers.Dense(64)(layers.Flatten()(x))
    features = layers.LeakyReLU(0.2, name="features")(x)
    return keras.Model(inputs, layers.Dense(1)(features))


class GAN(keras.Model):
    def __init__(self, generator, discriminator, seed):
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.g_adam = keras.optimizers.Adam(6e-4, beta_1=0.5)
        self.d_adam = keras.optimizers.Adam(4e-4, beta_1=0.5)
        self.g_adam.build(generator.trainable_variables)
        self.d_adam.build(discriminator.trainable_variables)
        self.random = keras.random.SeedGenerator(seed)
        self.g_mean = keras.metrics.Mean("generator")
        self.d_mean = keras.metrics.Mean("discriminator")

    def train_step(self, real):
        z = keras.random.normal((tf.shape(real)[0], 32), seed=self.random)
        with tf.GradientTape(persistent=True) as tape:
            fake = self.generator(z, training=True)
            on_real = self.discriminator(real, training=True)
            on_fake = self.discriminator(fake, training=True)
            g_loss = cross_entropy(tf.ones_like(on_fake), on_fake)
            d_loss = cross_entropy(0.9 * tf.ones_like(on_real), on_real)
            d_loss += cross_entropy(tf.zeros_like(on_fake), on_fake)
        g_weights = self.generator.trainable_variables
        self.g_adam.apply(tape.gradient(g_loss, g_weights), g_weights)
        d_weights = self.discriminator.trainable_variables
        self.d_adam.apply(tape.gradient(d_loss, d_weights), d_weights)
        self.g_mean.update_state(g_loss)
        self.d_mean.update_state(d_loss)
        return {m.name: m.result() for m in (self.g_mean, self.d_mean)}


def features_and_logit(discriminator):
    """Return a function from images to the 64 features (n, 64) and the logit (n,), dropout off."""
    both = keras.Model(discriminator.input, [discriminator.get_layer("features").output, discriminator.output])

    def judge(x):
        features, logit = both.predict(x, batch_size=1024, verbose=0)
        return features, logit[:, 0]

    return judge


def build_encoder(generator):
    """Put a small network in front of a generator that no longer learns; their bottleneck is the noise."""
    generator.trainable = False
    inputs = keras.Input((28, 28, 1))
    x = inputs
    for n_filters in (8, 32):
        x = layers.Conv2D(n_filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    noise = layers.Dense(32)(layers.Flatten()(x))
    return keras.Model(inputs, generator(noise))
