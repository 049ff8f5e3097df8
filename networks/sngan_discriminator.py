"""The trunk of SNGAN's ResNet discriminator (Miyato et al., 2018), with the ladders of InfoMax-GAN."""

from itertools import pairwise

from .biggan import ladder
from .biggan_discriminator import DownBlock, FirstBlock, Trunk
from .latent import Size, first_map, shorter
from .registry import register_latent_D
from .sngan import draw_xavier

# Size -> channels behind each block, in multiples of ndf, and how many of the blocks halve the size.
LADDERS = {
    32: ((1, 1, 1, 1), 2),
    48: ((1, 2, 4, 8, 16), 4),
    64: ((1, 2, 4, 8, 16), 5),
    96: ((1, 2, 4, 8, 16), 5),
    128: ((1, 2, 4, 8, 16, 16), 5),
    192: ((1, 2, 4, 8, 16, 16), 5),
    **dict.fromkeys((256, 384), ((1, 2, 4, 8, 8, 16, 16), 6)),  # BigGAN's, as in G
    **dict.fromkeys((512, 768), ((1, 1, 2, 4, 8, 8, 16, 16), 7)),
}


@register_latent_D
def sngan(size: Size, channels: int, ndf: int, attention: bool = False, reference: bool = False) -> Trunk:
    """Local features are those before the last block: 8 x 8 at 32 pixels, 3 x 3 at 48, 4 x 4 at 64 and 128.

    Args:
        ndf: channels of the first block. Published: 128 at 32 pixels, where all blocks have as many, else 64.
        attention: attend to the own map of half the size, 32 x 32 at 128 pixels.
        reference: attend to a reference image's map there instead.

    Raises:
        ValueError: no ladder for this size.
    """
    bottom, blocks = ladder(shorter(size))
    first_map(size, bottom, blocks)
    multiples, halvings = LADDERS[shorter(size)]
    widths = [ndf * m for m in multiples]
    parts: list[FirstBlock | DownBlock] = [FirstBlock(channels, widths[0])]
    for i, (c, out) in enumerate(pairwise(widths), start=1):
        parts.append(DownBlock(c, out, hidden=c, down=i < halvings))
    return Trunk(parts, blocks - min(blocks - 1, 3), attention, reference, last_is_global=True, draw=draw_xavier)
