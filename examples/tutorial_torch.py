"""A GAN on MNIST as tutorials write it.

The same listing stands in `tutorial_torch.py` and in `tutorial_scratchgan.py`; the imports differ.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.optim as optim
import torchvision.transforms as transforms
from torch.utils.data import DataLoader
from torchvision import datasets
from torchvision.utils import save_image

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

latent_dim = 100
batch_size = 64
num_epochs = 20
learning_rate = 0.0002


class Generator(nn.Module):
    def __init__(self):
        super().__init__()

        def block(in_features, out_features, normalize=True):
            layers = [nn.Linear(in_features, out_features)]
            if normalize:
                layers.append(nn.BatchNorm1d(out_features, 0.8))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            return layers

        self.model = nn.Sequential(
            *block(latent_dim, 128, normalize=False),
            *block(128, 256),
            nn.Linear(256, 28 * 28),
            nn.Tanh(),
        )

    def forward(self, z):
        images = self.model(z)
        return images.view(images.size(0), 1, 28, 28)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(28 * 28, 256),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Dropout(0.3),
            nn.Linear(256, 128),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(128, 1),
            nn.Sigmoid(),
        )

    def forward(self, images):
        return self.model(images.view(images.size(0), -1))


def train(generator, discriminator, loader, epochs):
    criterion = nn.BCELoss()
    optimizer_g = optim.Adam(generator.parameters(), lr=learning_rate, betas=(0.5, 0.999))
    optimizer_d = optim.Adam(discriminator.parameters(), lr=learning_rate, betas=(0.5, 0.999))
    history = []
    for epoch in range(epochs):
        for i, (images, _) in enumerate(loader):
            images = images.to(device)
            real = torch.ones(images.size(0), 1, device=device)
            fake = torch.zeros(images.size(0), 1, device=device)

            optimizer_d.zero_grad()
            z = torch.randn(images.size(0), latent_dim, device=device)
            made = generator(z)
            real_loss = criterion(discriminator(images), real)
            fake_loss = criterion(discriminator(made.detach()), fake)
            d_loss = (real_loss + fake_loss) / 2
            d_loss.backward()
            optimizer_d.step()

            optimizer_g.zero_grad()
            g_loss = criterion(discriminator(made), real)
            g_loss.backward()
            optimizer_g.step()

            history.append((d_loss.item(), g_loss.item()))
            if i % 100 == 0:
                print(
                    f"[{epoch + 1}/{epochs}] [{i}/{len(loader)}] "
                    f"D loss: {d_loss:.4f}, G loss: {g_loss:.4f}"
                )
    return history


def main(root="data", epochs=num_epochs):
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5], [0.5])])
    dataset = datasets.MNIST(root=root, train=True, transform=transform, download=True)
    loader = DataLoader(dataset, batch_size=batch_size, shuffle=True, drop_last=True)
    generator = Generator().to(device)
    discriminator = Discriminator().to(device)
    train(generator, discriminator, loader, epochs)

    generator.eval()
    with torch.no_grad():
        images = generator(torch.randn(25, latent_dim, device=device)).cpu()
    save_image(images, "tutorial.png", nrow=5, normalize=True)
    _, axes = plt.subplots(5, 5)
    for axis, image in zip(axes.flat, images):
        axis.imshow(image.squeeze(), cmap="gray")
        axis.axis("off")
    plt.savefig("tutorial_figure.png")
    torch.save(generator.state_dict(), "generator.pt")


if __name__ == "__main__":
    main()
