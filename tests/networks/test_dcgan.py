"""The small networks at the ends of what their flags allow."""

import pytest
import torch

from networks import define


@pytest.mark.parametrize("name", ["dcgan", "small"])
def test_the_narrowest_generator_makes_images(name):
    netG = define("latent_G", name, size=32, channels=3, classes=2, z_dim=4, ngf=1)
    images = netG(torch.randn(2, 4), torch.tensor([0, 1]))
    assert images.shape == (2, 3, 32, 32) and not torch.equal(images[0], images[1])


def test_a_norm_of_single_pixels_is_refused():
    """An instance norm of a 1 x 1 map subtracts all there is."""
    for size, norm in ((8, "none"), (8, "batch"), (16, "instance")):
        trunk = define("latent_D", "dcgan", size=size, channels=1, ndf=2, norm=norm)
        local, pooled = trunk(torch.randn(3, 1, size, size))
        assert local.shape == (3, 8, size // 8, size // 8) and pooled.shape == (3, trunk.features)
    with pytest.raises(ValueError, match="16 pixels"):
        define("latent_D", "dcgan", size=8, channels=1, ndf=2, norm="instance")
