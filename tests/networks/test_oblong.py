"""Images that are not square, of every network that makes or judges images from noise."""

import pytest
import torch

from networks import define, list_networks


@pytest.mark.parametrize("size", [(32, 40), (56, 32)])
@pytest.mark.parametrize("name", list_networks("latent_G"))
def test_a_generator_makes_them(name, size):
    torch.manual_seed(0)
    G = define("latent_G", name, size=size, channels=3, classes=2, z_dim=8, ngf=8, attention=True)
    images = G(torch.randn(2, 8), torch.tensor([0, 1]))
    assert images.shape == (2, 3, *size) and images.std() > 0


@pytest.mark.parametrize("size", [(32, 40), (56, 32)])
@pytest.mark.parametrize("name", list_networks("latent_D"))
@pytest.mark.parametrize("reference", [False, True])
def test_a_discriminator_judges_them(name, size, reference):
    D = define("latent_D", name, size=size, channels=3, ndf=8, attention=True, reference=reference)
    x = torch.randn(2, 3, *size)
    local, pooled = D(x, x.flip(0)) if reference else D(x)
    assert pooled.shape == (2, D.features) and local.shape[1] == D.local_channels
    assert local.shape[2] * size[1] == local.shape[3] * size[0]


@pytest.mark.parametrize("name", list_networks("latent_G"))
def test_a_square_as_height_and_width_is_the_square(name):
    found = []
    for size in (32, (32, 32)):
        torch.manual_seed(0)
        G = define("latent_G", name, size=size, channels=1, classes=0, z_dim=8, ngf=8)
        found.append(G.eval()(torch.randn(2, 8)))
    assert torch.equal(*found)


@pytest.mark.parametrize("kind", ["latent_G", "latent_D"])
def test_a_side_that_is_no_maps_is_told_which_are(kind):
    more = dict(channels=3, classes=0, z_dim=60, ngf=1, ndf=1)
    with pytest.raises(ValueError, match=r"the longer one is a map's, doubled 4 times: not 250, but 240 or 256"):
        define(kind, "sngan", size=(64, 250), **more)
    with pytest.raises(ValueError, match="makes images of 50 pixels; choose from"):
        define(kind, "biggan", size=(50, 256), **more)
