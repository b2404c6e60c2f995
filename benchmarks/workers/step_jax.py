"""The step with JAX: one jitted function whose parameters and optimizer state are donated."""

import os
from typing import Any

from benchmarks import problem
from benchmarks.machine import cores
from benchmarks.worker import Ready, Skip, serve, timed, versions


def gan_step() -> Any:
    """``step(state, real, d_noise, g_noise)`` gives the next state and the results."""
    import jax
    import jax.numpy as jnp

    def forward(layers: Any, x: Any, last: Any) -> Any:
        *hidden, (weight, bias) = layers
        for w, b in hidden:
            x = jax.nn.relu(x @ w.T + b)
        return last(x @ weight.T + bias)

    def generator(layers: Any, noise: Any) -> Any:
        return forward(layers, noise, jnp.tanh)

    def discriminator(layers: Any, images: Any) -> Any:
        return forward(layers, images, jax.nn.sigmoid)

    def cross_entropy(p: Any, target: Any) -> Any:
        log_p, log_q = (jnp.maximum(x, -100.0) for x in (jnp.log(p), jnp.log1p(-p)))
        return -jnp.mean(target * log_p + (1 - target) * log_q)

    def discriminator_loss(layers: Any, images: Any, target: Any) -> Any:
        scores = discriminator(layers, images)
        return cross_entropy(scores, target) * 2, scores

    def generator_loss(layers: Any, d_layers: Any, noise: Any) -> Any:
        return cross_entropy(discriminator(d_layers, generator(layers, noise)), 1.0)

    def adam(layers: Any, gradients: Any, moments: Any, count: Any) -> tuple[Any, Any]:
        (m, v), (beta1, beta2) = moments, problem.BETAS
        m = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, m, gradients)
        v = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, v, gradients)
        step_size = problem.LEARNING_RATE / (1 - beta1**count)
        correction = jnp.sqrt(1 - beta2**count)
        layers = jax.tree.map(
            lambda p, m, v: p - step_size * m / (jnp.sqrt(v) / correction + 1e-8), layers, m, v
        )
        return layers, (m, v)

    def step(state: Any, real: Any, d_noise: Any, g_noise: Any) -> Any:
        (g, g_moments), (d, d_moments), count = state
        count = count + 1
        images = jnp.concatenate([real, generator(g, d_noise)])
        target = jnp.concatenate([jnp.ones((len(real), 1)), jnp.zeros((len(real), 1))])
        (d_loss, scores), gradients = jax.value_and_grad(discriminator_loss, has_aux=True)(
            d, images, target
        )
        d, d_moments = adam(d, gradients, d_moments, count)
        g_loss, gradients = jax.value_and_grad(generator_loss)(g, d, g_noise)
        g, g_moments = adam(g, gradients, g_moments, count)
        d_real, d_fake = jnp.split(scores, 2)
        results = d_loss, g_loss, d_real.mean(), d_fake.mean()
        return ((g, g_moments), (d, d_moments), count), results

    return jax.jit(step, donate_argnums=0)


def prepare(batch: int, seconds: float, device: str) -> Ready:
    if device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    import jax.numpy as jnp

    try:
        kind = jax.devices(device)[0].device_kind
    except RuntimeError as error:
        raise Skip(f"JAX finds no {device} device: {str(error).splitlines()[0]}") from error
    players = []
    for seed, sizes in enumerate(problem.sizes()):
        layers = jax.tree.map(jnp.asarray, problem.weights(sizes, seed))
        players.append((layers, tuple(jax.tree.map(jnp.zeros_like, layers) for _ in range(2))))
    state: Any = (*players, jnp.zeros((), jnp.float32))
    jitted = gan_step()
    results: Any = None

    def step(real: Any, d_noise: Any, g_noise: Any) -> Any:
        nonlocal state, results
        state, results = jitted(state, real, d_noise, g_noise)
        return results

    pool = [tuple(map(jnp.asarray, arrays)) for arrays in problem.batches(batch)]
    run, check = problem.running(step, pool)
    # It computes while Python goes on, so it is waited for once in a block, as a training would.
    sample = timed(run, seconds, lambda: jax.block_until_ready((state, results)))
    about: dict[str, Any] = {"versions": versions("jax", "jaxlib")}
    if device == "cuda":
        about["gpu"] = kind
    else:
        about["threads"] = cores()  # XLA takes all there are
    return Ready(sample, about, check)


if __name__ == "__main__":
    serve(prepare)
