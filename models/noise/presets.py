"""The published settings of methods that make images from noise, for ``--preset``; recipes/ has other data sets."""

from collections.abc import Mapping
from typing import Any

from options import option

# Of CIFAR-10 at 32 pixels: StudioGAN's configurations, 100,000 steps of G after 5 of D each, batches of 64 (128 for
# ReACGAN), judged by samples of all classes alike. Their average begins at step 1000; here it warms up. There G's batch
# norm leaves out D's steps.
BIGGAN = dict(
    netG="biggan", netD="biggan", ngf=96, ndf=96, z_dim=80, batch_size=64, n_dis=5, n_epochs=640, n_epochs_decay=0,
    lr=2e-4, lr_D=2e-4, beta1=0.5, beta2=0.999, adam_eps=1e-6, ema_decay=0.9999, gan_mode="hinge_paper",
    fresh_fakes=True, sample_classes="even",
)  # fmt: skip
CONTRAGAN = BIGGAN | dict(
    contra_pool="fakes", lambda_cond=1.0, lambda_cond_G=None, tau=1.0, embed_dim=512, embed_hidden=0,
)  # fmt: skip
REACGAN = BIGGAN | dict(
    batch_size=128, lr=2.8284e-4, lr_D=2.8284e-4, n_epochs=1280, lambda_cond=0.5, lambda_cond_G=None, tau=0.5,
    margin=0.98, embed_dim=512, embed_hidden=0,
)  # fmt: skip

# Of CIFAR-10 at 32 pixels in InfoMax-GAN's code: as many steps, a rate that falls to 0, no average.
SNGAN = dict(
    netG="sngan", netD="sngan", ngf=256, ndf=128, z_dim=128, batch_size=64, n_dis=5, n_epochs=0, n_epochs_decay=640,
    lr=2e-4, lr_D=2e-4, beta1=0.0, beta2=0.9, ema_decay=0.0, gan_mode="hinge_paper", flip=False, fresh_fakes=True,
)  # fmt: skip

# Of CIFAR-10 in R3GAN's code: networks, its README's size of a batch, and what anneals over 20 million images. Ours are
# a run of as many images, and DiffAugment as what is applied so often.
R3GAN = dict(
    netG="r3gan", netD="r3gan", ngf=768, ndf=768, z_dim=64, class_told=True, sn_D=False, batch_size=512, n_epochs=400,
    n_epochs_decay=0, anneal_images=20_000_000, lr=2e-4, lr_D=2e-4, lr_policy="cosine", lr_min=5e-5, beta1=0.0,
    beta2=0.9, beta2_end=0.99, lambda_r1=0.05, lambda_r2=0.05, anneal_r=0.1, augment_D="color,translation,cutout",
    augment_p_from=0.0, augment_p=0.55, ema_half_life=5_000_000,
)  # fmt: skip

# The ContraGAN tutorial's run: a contrast of reals and fakes together, for D alone.
TUTORIAL = dict(
    netG="dcgan", netD="dcgan", ngf=128, ndf=64, z_dim=100, batch_size=128, n_dis=1, n_epochs=100, n_epochs_decay=0,
    lr=2e-4, lr_D=2e-4, beta1=0.5, beta2=0.999, ema_decay=0.0, gan_mode="vanilla", sn_D=False, normD="batch",
    init_type="normal", contra_form="tutorial", lambda_cond=1.0, tau=0.5, embed_dim=128, embed_hidden=256, flip=False,
)  # fmt: skip

# Of MS-COCO at 128 pixels in XMC-GAN's code: 8 images on each of 7 devices, which contrast their own 8. That code's
# encoder is BERT, uncased, with its marks among 17 words.
XMCGAN = dict(
    crop_size=128, ngf=96, ndf=96, z_dim=128, batch_size=56, n_dis=2, n_epochs=500, n_epochs_decay=0, lr=1e-4,
    lr_D=4e-4, beta1=0.5, beta2=0.999, adam_eps=1e-8, ema_decay=0.999, gan_mode="hinge_paper", max_words=17,
    updates="simultaneous", lambda_sent=1.0, lambda_word=1.0, lambda_img=1.0, lambda_frozen=1.0, tau=0.1,
    tau_word=0.02, rho1=5.0, rho2=5.0, nce_form="symmetric", drop_marks=False,
    similar=1, save_epoch_freq=50,
)  # fmt: skip


def presets(
    official: Mapping[str, Any],
    help: str = "small data and few minutes, or the published settings for CIFAR-10",
    **more: Mapping[str, Any],
) -> Any:
    """``--preset`` of a method: small, which are its defaults, official, and further ones by name."""
    return option("small", help, presets={"small": {}, "official": official, **more})


def with_adc(
    official: Mapping[str, Any],
    help: str = "small data and few minutes; the published settings for CIFAR-10; the same with --adc",
    **more: Mapping[str, Any],
) -> Any:
    """``presets`` and a further one, adc: StudioGAN's files of ADC differ from those without it in nothing else."""
    return presets({**official, "adc": False}, help, adc={**official, "adc": True}, **more)
