"""A GAN on MNIST in plain code: what `scratchgan train --recipe seed` does, by the public API.

Run it with `python examples/mnist_gan.py`; the digits of each epoch appear in samples.png.
"""

import scratchgan as sg
from scratchgan import nn, optim
from scratchgan.data import MNIST, batches
from scratchgan.viz import save_grid

LATENT_DIM, BATCH_SIZE, EPOCHS = 100, 64, 30


def main(steps: int | None = None, picture: str = "samples.png") -> tuple[nn.Module, nn.Module]:
    """Train for all epochs, or for `steps` steps; give back the two networks."""
    sg.manual_seed(0)
    generator = nn.Sequential(
        nn.Linear(LATENT_DIM, 128),
        nn.ReLU(),
        nn.Linear(128, 256),
        nn.ReLU(),
        nn.Linear(256, 784),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 256),
        nn.ReLU(),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Linear(128, 1),
        nn.Sigmoid(),
    )
    g_optimizer = optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    d_optimizer = optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    loss = nn.BCELoss()
    is_real, is_fake = sg.ones(BATCH_SIZE, 1), sg.zeros(BATCH_SIZE, 1)
    same_noise = sg.randn(64, LATENT_DIM)

    images = MNIST().images
    step = 0
    for epoch in range(1, EPOCHS + 1):
        for batch in batches(images, BATCH_SIZE, seed=0, epoch=epoch):
            # The discriminator learns to tell real from fake ...
            real = sg.from_numpy(batch)
            fake = generator(sg.randn(BATCH_SIZE, LATENT_DIM)).detach()
            d_loss = loss(discriminator(real), is_real) + loss(discriminator(fake), is_fake)
            d_optimizer.zero_grad()
            d_loss.backward()
            d_optimizer.step()

            # ... and the generator to pass its fakes for real.
            fake = generator(sg.randn(BATCH_SIZE, LATENT_DIM))
            g_loss = loss(discriminator(fake), is_real)
            g_optimizer.zero_grad()
            g_loss.backward()
            g_optimizer.step()

            step += 1
            if step % 100 == 0:
                print(f"epoch {epoch}, step {step}: D {d_loss.item():.3f}, G {g_loss.item():.3f}")
            if step == steps:
                return generator, discriminator

        with sg.no_grad():
            digits = generator(same_noise).reshape(64, 28, 28)
        with open(picture, "wb") as file:
            save_grid(file, ((digits + 1) * 127.5).numpy().astype("uint8"))
    return generator, discriminator


if __name__ == "__main__":
    main()
