"""Flags of train.py for a tiny step of every method, with its main terms."""

PHOTOS = (
    *("--ngf", 4, "--ndf", 4, "--load_size", 36, "--crop_size", 32),
    *("--netG", "resnet_4blocks", "--netD", "n_layers", "--n_layers_D", 2),
)
PATCHES = (*PHOTOS, "--netF_nc", 8, "--num_patches", 16)
ONE = ("--ngf", 4, "--ndf", 4, "--netF_nc", 8, "--num_patches", 16, "--crop_size", 32, "--batch_size", 2)
GLYPHS = (
    *("--target_font", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "--charset", "ascii", "--crop_size", 16),
    *("--ngf", 4, "--widest", 8, "--ndf", 4, "--embedding_num", 6, "--embedding_dim", 4, "--batch_size", 12),
    *("--styles_per_batch", 3, "--GAN_from", 0),
)
TERMS = ("--label_shuffling", "--lambda_const", 1, "--lambda_align", 1, "--lambda_tv", 0.1, "--splice", 1)
DIGITS = ("--dataroot", "digits", "--crop_size", 32, "--batch_size", 8)
NOISE = (*DIGITS, "--ngf", 4, "--ndf", 4, "--n_dis", 1)
ICR = ("--lambda_CR", 10, "--lambda_CR_fake", 10, "--lambda_zCR", 20, "--lambda_zCR_G", 0.5)
ADA = ("--augment_D", "color,translation", "--ada_target", 0.6)
CAPTIONS = (*NOISE, "--text_dim", 16, "--text_layers", 1, "--text_heads", 2)
OWN_G = ("--ngf", 4, "--ndf", 4, "--load_size", 36, "--crop_size", 32, "--n_layers_D", 2)
JUDGED = ("--target_font", "DejaVuSerif", "DejaVuSansMono", "--charset", "ascii", "--crop_size", 32, "--batch_size", 8)

STEPS = [
    ("cut", *PATCHES),
    ("cut", *PATCHES, "--gan_mode", "wgangp", "--pool_size", 50, "--flip_equivariance"),
    ("cut", *PATCHES, "--lambda_r1", 1, "--negatives", "queue", "--queue_size", 50, "--ema_decay", 0.9),
    ("cut", *PATCHES, "--dataset_mode", "template", "--lambda_L1", 1, "--input_nc", 1),
    ("fastcut", *PATCHES),
    ("sincut", *ONE),
    ("cycle_gan", *PHOTOS),
    ("dcl", *PATCHES),
    ("simdcl", *PATCHES),
    ("monce", *PATCHES),
    ("monce", *PATCHES, "--cost_type", "easy", "--exact_mask", "false", "--batch_size", 2),
    ("hneg_src", *PATCHES, "--batch_size", 2),
    ("qsattn", *PATCHES),
    ("qsattn", *PATCHES, "--QS_mode", "local_global", "--attention_learns"),
    ("qsattn", *PATCHES, "--QS_mode", "local", "--batch_size", 2),
    ("negcut", *PATCHES),
    ("negcut", *PATCHES, "--negatives_learn", "--diversity_of", "last", "--mean_places", 20, "--batch_size", 2),
    ("lsesim", *PHOTOS, "--patch_nums", 16),
    ("lsesim", *PHOTOS, "--patch_nums", 16, "--attn_layers", "4,8", "--learned_attn", "--patch_size", 4, "--use_norm"),
    ("santa", *OWN_G, "--netG", "adain_resnet_6blocks", "--batch_size", 2),
    ("decent", *PHOTOS, "--num_patches", 16, "--bnaf_dim", 2, "--flow_blocks", 2, "--batch_size", 2),
    ("enco", *PATCHES),
    ("enco", *PATCHES, "--netD", "multiscale", "--stop_idt_epochs", 0, "--batch_size", 2),
    ("unsb", *OWN_G, "--netF_nc", 8, "--num_patches", 16, "--netG", "resnet_6blocks_cond", "--num_timesteps", 3),
    ("unsb", *OWN_G, "--netF_nc", 8, "--num_patches", 16, "--unsb_block", "paper", "--batch_size", 2),
    ("pix2pix", *PHOTOS, "--dataset_mode", "template", "--input_nc", 1, "--netD", "multiscale"),
    ("template", *PHOTOS, "--dataset_mode", "template", "--input_nc", 1),
    ("zi2zi", *GLYPHS, *TERMS),
    ("zi2zi", *GLYPHS, *TERMS, "--contrastive", "supcon", "--balance_GAN", "--lambda_r1", 1),
    ("zi2zi", *GLYPHS, "--contrastive", "ntxent", "--category", "bce"),
    ("zi2zi", *GLYPHS, "--contrastive_content", "margin", "--self_attention"),
    ("zi2zi", *GLYPHS, "--contrastive_style", "margin", "--tune", "decoder"),
    ("contragan", *NOISE),
    ("contragan", *NOISE, "--contra_form", "tutorial"),
    (
        "contragan",
        *NOISE,
        "--lambda_CR",
        1,
        "--lambda_lecam",
        0.1,
        "--augment_D",
        "color,translation",
        "--ada_target",
        0.6,
    ),
    ("contragan", *NOISE, *ICR, "--adc"),
    ("reacgan", *NOISE),
    ("infomaxgan", *NOISE),
    ("dualcontrast", *NOISE),
    ("sngan", *NOISE),
    ("biggan", *NOISE, "--lambda_r1", 1),
    ("acgan", *NOISE),
    ("acgan", *NOISE, *ICR, "--adc"),
    ("r3gan", *NOISE),
    ("r3gan", *NOISE, "--netG", "r3gan", "--netD", "r3gan", "--class_told", "false", "--beta2_end", 0.9),
    ("contrad", *NOISE),
    ("xmcgan", *CAPTIONS),
    ("xmcgan", *CAPTIONS, "--updates", "alternating", "--word_len_norm"),
    ("xmcgan", *CAPTIONS, *ICR),
    ("label_judge", *DIGITS),
    ("caption_judge", *DIGITS),
    ("domain", "--crop_size", 32, "--load_size", 36, "--batch_size", 2),
    ("glyph_judge", *JUDGED),
]
