"""Names of CycleGAN's and CUT's code that a file of a user's may still say, and what is written here in their place."""

MODULES = {  # what is imported
    "models.networks": "networks",
    "models.patchnce": "models.losses (patch_nce)",
    "models.stylegan_networks": "networks",
    "util.util": "util.images",
    "data.image_folder": "data.image_folder (FolderDataset)",
}
PLUGINS = {  # (kind of plugin, name), of theirs
    ("model", "dclgan"): "it is --model dcl here",
    ("model", "simdclgan"): "it is --model simdcl here",
    ("model", "cyclegan"): "it is --model cycle_gan here",
    ("model", "test"): "test.py takes the model from the run of --name; one generator alone: python translate.py "
    "--checkpoint latest_net_G.pth --input photos --output translated",
    ("model", "qs"): "it is --model qsattn here",
    ("model", "sc"): "it is --model lsesim here",
    ("model", "sb"): "it is --model unsb here",
    ("model", "decent_gan"): "it is --model decent here",
}
TRANSLATION = "derive the model from models.base_translation.TranslationModel"
FUNCTIONS = {  # of the module networks
    "define_G": f"{TRANSLATION}, and write self.netG = self.build_G(opt.input_nc, opt.output_nc)",
    "define_D": f"{TRANSLATION}, and write self.netD = self.build_D(opt.output_nc)",
    "define_F": "derive the model from models.base_contrastive.ContrastiveModel, and write self.netF = "
    "self.build_F(self.netG)",
    "GANLoss": "self.real_or_fake(netD, real, fake) and self.fool(netD, fake) of models.base_adversarial, or "
    "models.losses.gan_loss",
    "PatchSampleF": "self.build_F(self.netG) of models.base_contrastive, or networks.define('F', ...)",
    "PatchNCELoss": "models.losses.patch_nce",
    "cal_gradient_penalty": "--gan_mode wgangp with self.real_or_fake, or models.losses.gradient_penalty",
    "get_scheduler": "--lr_policy does it; leave it out",
    "init_net": "networks.init_weights; the engine places a network, so there is nothing else to do",
    "get_norm_layer": "--normG and --normD, or a layer of torch.nn",
    "init_weights": "networks.init_weights",
}
ASSIGNED = {  # to a model that has a property of that name
    "loss_names": "leave it out: the names are the keys of the dictionaries that update() is given",
    "model_names": "leave it out: a network is any attribute that is called net<Name>",
    "networks": "leave it out: a network is any attribute that is called net<Name>",
}
READ = {  # of a model
    "isTrain": "write self.opt.is_train",
    "device": "leave it out: networks and batches are on the device already",
    "gpu_ids": "leave it out: networks and batches are on the device already",
    "save_dir": "write save_files(self, folder), which is given the folder of the run",
    "schedulers": "leave it out: --lr_policy does it",
    "backward_G": "write self.update('G', self.generator_losses), whose method returns {name: loss}",
}
