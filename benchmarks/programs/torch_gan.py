"""`scratchgan train --recipe seed` as a PyTorch user would write it who cares for speed.

The same networks, loss, optimizer and batches, and the same files: metrics every 100 steps, a grid
of samples after each epoch, the weights and the curves of the losses.
"""

import argparse
import csv
import gzip
from pathlib import Path

import torch
from matplotlib.figure import Figure
from matplotlib.image import imsave
from torch import nn

LATENT_DIM = 100


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("images", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    train(options.images, options.out, options.epochs, options.batch_size, options.device)


def read(images: Path) -> torch.Tensor:
    """The pixels (60000, 784) of an IDX file, without a second copy in memory."""
    data = torch.empty(60_000, 784, dtype=torch.uint8)
    rest = memoryview(data.numpy()).cast("B")
    with gzip.open(images) as file:
        file.read(16)
        while count := file.readinto(rest):
            rest = rest[count:]
    return data


def train(images: Path, out: Path, epochs: int, batch: int, device: str) -> None:
    torch.manual_seed(0)
    (out / "samples").mkdir(parents=True)
    data = read(images).to(device)
    generator = nn.Sequential(
        nn.Linear(LATENT_DIM, 128),
        nn.ReLU(),
        nn.Linear(128, 256),
        nn.ReLU(),
        nn.Linear(256, 784),
        nn.Tanh(),
    ).to(device)
    discriminator = nn.Sequential(
        nn.Linear(784, 256),
        nn.ReLU(),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Linear(128, 1),
        nn.Sigmoid(),
    ).to(device)
    g_adam, d_adam = (
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
        for network in (generator, discriminator)
    )
    d_parameters = list(discriminator.parameters())
    loss = nn.BCELoss()
    one = torch.ones(batch, 1, device=device)
    target = torch.cat([one, torch.zeros_like(one)])
    same_noise = torch.randn(64, LATENT_DIM, device=device)
    rows = []
    step = 0
    for epoch in range(1, epochs + 1):
        order = torch.randperm(len(data), device=device)
        for rows_of_batch in order[: len(data) // batch * batch].split(batch):
            real = data[rows_of_batch].float().div_(127.5).sub_(1)
            with torch.no_grad():
                fake = generator(torch.randn(batch, LATENT_DIM, device=device))
            scores = discriminator(torch.cat([real, fake]))
            d_loss = loss(scores, target) * 2
            d_adam.zero_grad()
            d_loss.backward()
            d_adam.step()

            noise = torch.randn(batch, LATENT_DIM, device=device)
            for parameter in d_parameters:
                parameter.requires_grad = False
            g_loss = loss(discriminator(generator(noise)), one)
            for parameter in d_parameters:
                parameter.requires_grad = True
            g_adam.zero_grad()
            g_loss.backward()
            g_adam.step()

            step += 1
            if step % 100 == 0:
                d_real, d_fake = (x.mean().item() for x in scores.detach().split(batch))
                rows.append((step, epoch, d_loss.item(), g_loss.item(), d_real, d_fake))
        with torch.no_grad():
            digits = generator(same_noise).view(8, 8, 28, 28).transpose(1, 2).reshape(224, 224)
        imsave(out / "samples" / f"epoch-{epoch:04}.png", digits.cpu().numpy(), cmap="gray")
        with (out / "metrics.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("step", "epoch", "d_loss", "g_loss", "d_real", "d_fake"))
            writer.writerows(rows)
        torch.save(generator.state_dict(), out / "generator.pt")
        torch.save(discriminator.state_dict(), out / "discriminator.pt")
    figure = Figure()
    axes = figure.subplots()
    axes.plot([row[0] for row in rows], [row[2:4] for row in rows], label=["D", "G"])
    axes.legend()
    figure.savefig(out / "losses.png")


if __name__ == "__main__":
    main()
