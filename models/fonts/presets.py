"""The published settings of zi2zi, for ``--preset``, and what ``--contrastive`` sets."""

# Weights, architecture and optimiser as published. Tian's discriminator loss is twice the one here, its category
# term included; Adam does not see the difference. zi2zi-pytorch has a floor of 5e-5 under the discriminator's learning
# rate and of 1.5e-4 under the generator's; here both have the latter.
ZI2ZI = dict(
    crop_size=256, ngf=64, widest=512, bottom=1, kernel=5, normG="batch", skip="concat", up="deconv",
    self_attention=False, blocks=0, dropout=0.5, norm_code=True, style_std=0.01, fixed_styles=True, init_type="normal",
    netD="whole", normD="batch", ndf=64, sn_D=False, gan_mode="vanilla", g_steps=2, GAN_from=0.0,
    lambda_L1=100.0, lambda_dice=0.0, lambda_const=15.0, lambda_category=1.0, lambda_category_D=0.5, lambda_GAN=1.0,
    lambda_tv=0.0, category="bce", optimizer="adam", lr=1e-3, lr_D=None, weight_decay=0.0, ema_decay=0.0,
    lr_policy="step", lr_decay_iters=10, lr_gamma=0.5, lr_min=2e-4, batch_size=16, styles_per_batch=0, n_epochs=100,
    n_epochs_decay=0, augment=0.5, elastic=0.0, splice=0.0,
)  # fmt: skip
FORK = ZI2ZI | dict(
    kernel=4, normG="instance", skip="add", up="shuffle", self_attention=True, norm_code=False, style_std=1.0,
    fixed_styles=False, netD="narrow", normD="instance", lambda_L1=97.0, lambda_const=0.0, lambda_align=15.0,
    lambda_category_D=1.0, balance_GAN=True, g_steps=1, augment=0.0, lr_decay_iters=1, lr_gamma=0.99, lr_min=1.5e-4,
)  # fmt: skip

BRANCHES = {
    kind: {"contrastive_content": kind, "contrastive_style": kind} for kind in ("none", "ntxent", "supcon", "margin")
}
