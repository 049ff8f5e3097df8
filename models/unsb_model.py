"""UNSB: a Schroedinger bridge from A to B, in a few adversarial steps of one generator.

Kim, Kwon, Kim, Ye. Unpaired Image-to-Image Translation via Neural Schrodinger Bridge. ICLR 2024. G predicts the end
from any state of a chain that begins at A; a discriminator that knows the time judges the prediction, and an estimator
E how much state and end have to do with one another. A test runs the chain, ``--nfe`` calls of G.

``--unsb_block released`` is the published generator, in which the time is without effect; ``paper`` lets it act, see
networks/bridge.py. G encodes for PatchNCE at time 0, with the same noise for query and key.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch

import networks
from models.base_translation import at_size_of
from models.cut_model import CUTModel
from models.losses import bridge_cost, joint_entropy
from networks.tiling import padded
from options import UserError, default, option


class UNSBModel(CUTModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(CUTModel.Options):
        section = "UNSB"
        shapes: ClassVar[tuple[str, ...]] = ("unsb_block", "n_mlp")
        preset: str = option(
            "unsb",
            "settings that the published README shows, or those of its parser",
            presets={"unsb": {}, "unsb-parser": {"lambda_SB": 0.1}},
        )
        unsb_block: Literal["released", "paper"] = option(
            "released", "G's residual blocks: as published, where the time has no effect, or such that it acts"
        )
        netG: str = option(
            "resnet_9blocks_cond", "architecture of the generator", choices=lambda: networks.list_networks("bridge_G")
        )
        netD: str = option(
            "basic_cond", "architecture of D and of the estimator E", choices=lambda: networks.list_networks("bridge_D")
        )
        lambda_SB: float = option(1.0, "weight of the bridge's cost", least=0)
        num_timesteps: int = option(5, "times of the chain, T", least=2, most=1000)
        tau: float = option(0.01, "scale of the chain's noise", least=0)
        nfe: int | None = option(None, "calls of G in a test; none is --num_timesteps", least=1)
        n_mlp: int = option(3, "linear layers behind the first that G's noise goes through", least=0)
        second_A: bool = default(True)
        normG: Literal["instance"] = option("instance", "normalisation in the generator, which noise modulates")
        normD: Literal["instance"] = option("instance", "normalisation in the discriminator")
        no_dropout: bool = option(True, "accepted for commands that say it", idle="UNSB's generator has no dropout")
        flip_equivariance: bool = option(
            False, "accepted for commands that say it", idle="UNSB's chain is not mirrored"
        )

        def validate(self):
            if self.ngf < 4:
                raise UserError(f"--ngf {self.ngf}: the generator is told its time in ngf numbers, 4 at least")
            if self.nfe is not None and self.nfe > self.num_timesteps:
                raise UserError(f"--nfe {self.nfe}: the chain has --num_timesteps {self.num_timesteps}")

    kind_of_G = "bridge_G"
    netD: Any
    netE: Any

    def __init__(self, opt):
        chain = dict(block=opt.unsb_block, n_mlp=opt.n_mlp, timesteps=opt.num_timesteps, tau=opt.tau)
        self.arguments_of_G = chain | {"nfe": opt.nfe or opt.num_timesteps}
        super().__init__(opt)
        if opt.is_train:
            self.flipped = False
            self.netE = self.build_timed(2 * (opt.input_nc + opt.output_nc))
            self.add_optimizer("E", self.netE)
        else:
            calls = range(1, self.netG.nfe)
            self.visual_names = ("real_A", *(f"nfe_{n}" for n in calls), "fake_B", "real_B")

    def build_D(self, input_nc):
        return self.augmented(self.build_timed(input_nc))

    def build_timed(self, input_nc):
        """A discriminator that is told the time; E, which estimates and judges nobody, is one too."""
        opt = self.opt
        arguments = dict(input_nc=input_nc, ndf=opt.ndf, n_layers=opt.n_layers_D, timesteps=opt.num_timesteps)
        arguments |= {"no_antialias": opt.no_antialias}
        self.try_out("bridge_D", opt.netD, arguments, "another size, or a smaller --n_layers_D")
        return self.finish_D(networks.define("bridge_D", opt.netD, **arguments))

    # -- a test ----------------------------------------------------------------------------------

    def forward(self):
        if self.opt.is_train:
            self.predict()
            return
        names = [f"nfe_{n}" for n in range(1, self.netG.nfe)] + ["fake_B"]
        for name in names:
            setattr(self, name, None)
        if self.real_A is None:
            return
        H, W = self.real_A.shape[2:]
        for name, image in zip(names, self.netG.chain(padded(self.netG, self.real_A)), strict=True):
            setattr(self, name, image[..., :H, :W])

    # -- a step ----------------------------------------------------------------------------------

    def set_input(self, batch):
        super().set_input(batch)
        self.real_A2 = batch.get("A2")
        if self.opt.is_train and self.real_A2 is None:
            told = "--second_A false" if hasattr(self.opt, "second_A") else f"--dataset_mode {self.opt.dataset_mode}"
            raise UserError(
                f"{told}: items have no second image of side A, which UNSB learns from; take --dataset_mode unaligned "
                "or font with --second_A true"
            )
        if self.real_A2 is not None and self.real_A is not None:
            self.real_A2 = at_size_of(self.real_A, self.real_A2)

    def predict(self):
        """States at a time drawn at random, of A, of another A and of B, and the ends that G sees from them."""
        self.keys_A, self.keys_B = self.real_A, self.real_B  # encoded in nce
        self.index = self.draw_index()
        with torch.no_grad():
            sides = {"A": self.real_A, "A2": self.real_A2, "B": self.real_B}
            self.state, self.state_A2, self.state_B = (self.walk(side, image) for side, image in sides.items())
        z = self.draw_z("f", len(self.state) + len(self.state_B)).split([len(self.state), len(self.state_B)])
        self.fake_B = self.netG.predict(self.state, self.index, z[0])
        if self.opt.nce_idt:
            self.idt_B = self.netG.predict(self.state_B, self.index, z[1])
        self.fake_B2 = self.netG.predict(self.state_A2, self.index, self.draw_z("f2", len(self.state_A2)))

    def walk(self, side, x):
        """The state of time ``index`` of the chain that begins at images x."""
        for i in range(self.index):
            made = self.netG.predict(x, i, self.draw_z(f"{side}.{i}", len(x)))
            x = self.netG.next_state(x, made, i, self.draw_noise(f"{side}.{i + 1}", x))
        return x

    def draw_index(self):
        return int(torch.randint(self.opt.num_timesteps, ()))

    def draw_z(self, use, count):
        """G's noise; ``use`` says what for."""
        return torch.randn(count, self.netG.z_dim, device=self.real_A.device)

    def draw_noise(self, use, x):
        """The noise of a state."""
        return torch.randn_like(x)

    def optimize_parameters(self):
        self.forward()
        self.update("D", self.discriminator_losses)
        self.update("E", self.estimator_losses)
        self.update("G", self.generator_losses)

    def at_time(self, netD):
        """A discriminator at the time of this step."""
        return lambda image: netD(image, self.index)

    def discriminator_losses(self):
        return self.real_or_fake(self.netD, self.real_B, self.fake_B, self.at_time(self.netD))

    def estimates(self, fake_B, fake_B2):
        """E of the joint state with itself, and with that of the second chain."""
        joint, other = torch.cat([self.state, fake_B], 1), torch.cat([self.state_A2, fake_B2], 1)
        E = self.at_time(self.netE)
        return E(torch.cat([joint, joint], 1)), E(torch.cat([joint, other], 1))

    def estimator_losses(self):
        return {"E_joint": joint_entropy(*self.estimates(self.fake_B.detach(), self.fake_B2.detach()))}

    def generator_losses(self):
        opt = self.opt
        losses = {"G_GAN": opt.lambda_GAN * self.fool(self.netD, self.fake_B, self.at_time(self.netD))}
        if opt.lambda_SB > 0:
            part = (opt.num_timesteps - self.index) / opt.num_timesteps
            estimates = self.estimates(self.fake_B, self.fake_B2)
            losses["SB"] = opt.lambda_SB * bridge_cost(*estimates, self.state, self.fake_B, part, opt.tau)
        if self.taps:
            losses |= self.contrast()
        return losses | self.supervised("L1", self.fake_B, self.real_B)

    def nce(self, term, image, keys):
        """As CUT's; the source is encoded here, with noise that the output's features share."""
        self.z = self.draw_z(term, len(image))
        with torch.no_grad():
            keys = self.encode(self.netG, keys)
        return super().nce(term, image, keys)

    def encode(self, netG, image):
        return netG.features(image, self.taps, self.z)
