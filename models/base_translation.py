"""What image-to-image methods share: two domains, generators that can be tapped, patch discriminators."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import nn

import networks
from evaluation.judges import read_judge
from models.base_adversarial import AdversarialModel
from models.shared.augmentation import Augmentation, AugmentationOptions
from networks.frozen import Frozen
from networks.heads import shapes_at
from networks.tiling import in_tiles, whole
from options import Exit, UserError, option
from util import contract, distributed


def at_size_of(image: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """``other``, which a method sets beside ``image``, scaled to its height and width where it has others."""
    if other.shape[2:] == image.shape[2:]:
        return other
    return F.interpolate(other, image.shape[2:], mode="bilinear", antialias=True)


class TranslationModel(AdversarialModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(AdversarialModel.Options, AugmentationOptions):
        section = "translation networks"
        shapes: ClassVar[tuple[str, ...]] = (
            *["netG", "netD", "ngf", "n_layers_D", "scales_D"],
            *["normG", "no_dropout", "no_antialias", "no_antialias_up", "stylegan2_G_num_downsampling"],
        )
        of_a_family = True
        netG: str = option(
            "resnet_9blocks",
            "architecture of the generator",
            choices=lambda: networks.list_networks("G"),
            gone={"resnet_cat": "CUT's repository lists it, and it fails there: it asks for an option that none has"},
        )
        netD: str = option("basic", "architecture of the discriminator", choices=lambda: networks.list_networks("D"))
        ngf: int = option(64, "channels of the generator's first layer", least=1)
        n_layers_D: int = option(3, "layers of the discriminators n_layers and multiscale", least=1)
        scales_D: int = option(2, "sizes at which --netD multiscale sees an image, each half the last", least=1)
        normG: Literal["instance", "batch", "none"] = option("instance", "normalisation in the generator")
        no_dropout: bool = option(True, "no dropout in the generator; --no_dropout false turns it on")
        no_antialias: bool = option(False, "strided convolutions instead of blur and subsampling")
        no_antialias_up: bool = option(False, "transposed convolutions instead of bilinear upsampling")
        stylegan2_G_num_downsampling: int = option(
            1, "halvings in the generators stylegan2 and smallstylegan2", least=0
        )
        lambda_L1: float = option(
            0.0, "pairs (--dataset_mode aligned): weight of the distance between a translation and its target", least=0
        )

        lambda_semantic: float = option(
            0.0, "weight of the term that keeps the class of an image of A, as --label_judge sees it", least=0
        )
        label_judge: str | None = option(None, "--lambda_semantic: folder of a run of --model label_judge on side A")

        def validate(self):
            if self.is_train and (self.lambda_semantic > 0) != (self.label_judge is not None):
                raise UserError(
                    f"--lambda_semantic {self.lambda_semantic} --label_judge {self.label_judge}: give both, a weight "
                    "and the run folder of a judge of side A's classes (train.py --model label_judge), or neither"
                )

    kind_of_G = "G"  # of networks/registry.py
    arguments_of_G: Mapping[str, Any] = {}  # that a kind takes beyond what every generator does
    real_A: Any  # (B, C, H, W) in [-1, 1]; None outside training where the batch lacks that side
    real_B: Any
    pairs: torch.Tensor | None = None  # the rows where B is what A should become; None are all
    pair_weight = 1.0  # of their mean, see data.loading.loader.Loader
    tiled = False  # whether an image was larger than --tile
    family = "one-sided"
    masks_pairs = True
    supervised_terms: frozenset[str] = frozenset()  # those asked for so far; a batch without pairs has none
    ema_names: tuple[str, ...] = ("G",)
    visual_sides = {"real_B": "B", "idt_B": "B", "fake_A": "B", "rec_B": "B"}

    def __init__(self, opt: Any):
        super().__init__(opt)
        self.class_judge: Any = None
        if opt.is_train and opt.lambda_semantic > 0:
            try:
                judge = read_judge(Path(opt.label_judge), model="label_judge")
            except UserError as error:
                raise UserError(f"--label_judge {opt.label_judge}: {error}", error.code) from None
            if judge.kind != "label":
                told = f"--label_judge {opt.label_judge}: tells {judge.kind}s apart"
                raise UserError(f"{told}; train a judge with --model label_judge", code=Exit.CHECKPOINT)
            self.class_judge = Frozen(judge)
        self.augmentations = nn.ModuleList()  # of each discriminator, with --augment_D
        self.augmentation_of: dict[nn.Module, Augmentation] = {}

    def update(self, name: str, losses: Callable[[], dict[str, torch.Tensor]]) -> None:
        """As in BaseModel; with --lambda_semantic the generator's terms have one more."""
        if self.class_judge is not None and name == "G":
            super().update(name, lambda: losses() | {"semantic": self.opt.lambda_semantic * self.semantic()})
        else:
            super().update(name, losses)

    def semantic(self) -> torch.Tensor:
        """Cross entropy of what the judge sees in fake_B to the class that it sees in real_A, in nats.

        The semantic consistency of Hoffman et al., "CyCADA" (ICML 2018, equation 4), in one direction.
        """
        fake = getattr(self, "fake_B", None)
        if fake is None:
            raise contract.broken(self, "fake_B", "is not there, and --lambda_semantic compares it with real_A")
        source = self.real_A.flip(3) if getattr(self, "flipped", False) else self.real_A
        with torch.no_grad():
            classes = self.judged(source).argmax(1)
        return F.cross_entropy(self.judged(fake).float(), classes)

    def judged(self, images: torch.Tensor) -> torch.Tensor:
        """The judge's logits of images, in the channels and at the size that it knows."""
        network = self.class_judge.network
        if images.shape[1] != network.channels:
            images = images.mean(1, keepdim=True).expand(-1, network.channels, -1, -1)
        return self.class_judge(F.interpolate(images, (network.size, network.size), mode="bilinear", antialias=True))

    def set_input(self, batch: Mapping[str, Any]) -> None:
        """A and B are (B, C, H, W) in [-1, 1]; outside training one of them may be absent."""
        self.real_A, self.real_B = batch.get("A"), batch.get("B")
        self.pairs, self.pair_weight = batch.get("pairs"), batch.get("pair_weight", 1.0)
        self.image_paths = {side: list(batch[f"{side}_paths"]) for side in "AB" if f"{side}_paths" in batch}
        if self.opt.is_train:
            self.check_sides()
            self.check_size()

    def check_sides(self) -> None:
        """Training takes both sides, of as many channels as the networks."""
        opt = self.opt
        for side, channels, flag in (("A", opt.input_nc, "input_nc"), ("B", opt.output_nc, "output_nc")):
            image = getattr(self, f"real_{side}")
            if image is None:
                raise UserError(
                    f"--dataset_mode {opt.dataset_mode}: items have no {side}, which --model {opt.model} learns from"
                )
            if image.shape[1] != channels:
                told = f"{side} has {image.shape[1]} channels"
                raise UserError(f"--dataset_mode {opt.dataset_mode}: {told}, and --{flag} is {channels}")

    def check_size(self) -> None:
        """A discriminator that ends in a linear layer judges images of one size alone; a U-Net takes whole halvings.

        Each side meets every network: images of B are judged beside translations as large as A.
        """
        opt = self.opt
        sizes = [(side, tuple(getattr(self, f"real_{side}").shape[2:])) for side in "BA"]
        for name, network in self.networks.items():
            wanted, stride = getattr(network, "size", None), getattr(network, "stride", 1)
            for side, (height, width) in sizes:
                if name.startswith("D") and wanted is not None and (height, width) != (wanted, wanted):
                    raise UserError(
                        f"--netD {opt.netD} with --crop_size {opt.crop_size} judges {wanted} x {wanted} pixels, the "
                        f"data have {height} x {width}; crop to a power of two, or use --netD basic"
                    )
                if name.startswith("G") and (height % stride or width % stride):
                    raise UserError(
                        f"--netG {opt.netG} halves images to {stride} parts, and {side} has {width} x {height} pixels; "
                        f"crop with --preprocess resize_and_crop to a multiple of {stride}, or use --netG "
                        "resnet_9blocks"
                    )

    @property
    def size(self) -> int:
        """Height and width that networks of a fixed size are made for, in pixels."""
        return self.opt.crop_size

    def build_G(self, input_nc: int, output_nc: int) -> Any:
        o = self.opt
        arguments = dict(
            input_nc=input_nc,
            output_nc=output_nc,
            ngf=o.ngf,
            norm=o.normG,
            use_dropout=not o.no_dropout,
            no_antialias=o.no_antialias,
            no_antialias_up=o.no_antialias_up,
            size=self.size,
            num_downsampling=o.stylegan2_G_num_downsampling,
        )
        arguments |= self.arguments_of_G
        self.try_out(self.kind_of_G, o.netG, arguments, "a multiple of what the generator halves, or another --netG")
        if o.is_train and o.compile and self.kind_of_G != "G":
            distributed.say_once(f"--compile: --model {o.model} calls its generator in parts, which are not compiled")
        return networks.init_weights(networks.define(self.kind_of_G, o.netG, **arguments), o.init_type, o.init_gain)

    def build_D(self, input_nc: int) -> Any:
        o = self.opt
        arguments = dict(
            input_nc=input_nc,
            ndf=o.ndf,
            norm=o.normD,
            n_layers=o.n_layers_D,
            scales=o.scales_D,
            no_antialias=o.no_antialias,
            size=self.size,
        )
        advice = "another size, --netD n_layers with a smaller --n_layers_D, or --netD pixel"
        if o.netD == "multiscale":
            advice = "another size, or smaller --scales_D or --n_layers_D"
        self.try_out("D", o.netD, arguments, advice)
        return self.augmented(self.finish_D(networks.define("D", o.netD, **arguments)))

    def augmented(self, netD: Any) -> Any:
        """Let a discriminator see whatever it is called with as --augment_D says, in its own step and in G's.

        Penalties are of images as they are: they call ``netD.forward``.
        """
        augmentation = Augmentation(self.opt, self.annealed)  # refuses what makes no sense
        if augmentation.policy is not None:
            self.augmentations.append(augmentation)
            self.augmentation_of[netD] = augmentation
            netD.register_forward_pre_hook(lambda _, inputs: (augmentation.augment(inputs[0]), *inputs[1:]))
        return netD

    def check_prepared(self) -> None:
        super().check_prepared()
        if self.opt.is_train and self.opt.augment_D and not self.augmentations:
            due = "make it with self.build_D, or give yours to self.augmented(netD)"
            raise contract.broken(self, "netD", f"sees nothing of --augment_D {self.opt.augment_D}; {due}")

    def watch(self, netD: nn.Module, real_logits: Any) -> None:
        if netD in self.augmentation_of:
            self.augmentation_of[netD].observe(real_logits, self.gather)

    def try_out(self, kind: str, name: str, arguments: dict[str, Any], advice: str) -> None:
        """In training, run the network once on the meta device, where a size that does not suit it shows for free."""
        if not self.opt.is_train:
            return
        try:
            with torch.device("meta"):
                image = torch.empty(1, arguments["input_nc"], self.size, self.size)
                networks.define(kind, name, **arguments)(image)
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0][:90]
            raise UserError(
                f"--crop_size {self.size} does not suit --net{kind[-1]} {name} ({reason}); use {advice}"
            ) from None

    def shapes_at(self, netG: Any, taps: Sequence[str], flag: str, input_nc: int | None = None) -> list[torch.Size]:
        """(C_l, H_l, W_l) of what ``taps`` name, which ``flag`` told; see :func:`networks.heads.shapes_at`.

        Raises:
            UserError: the generator has no such layer, or one is named twice.
        """
        try:
            shapes = shapes_at(netG, taps, input_nc or self.opt.input_nc) if taps else []
        except ValueError as error:
            raise UserError(f"{flag} with --netG {self.opt.netG}: {error}") from None
        layers = [netG.tap_index(tap) for tap in taps]
        twice = next((tap for i, tap in enumerate(taps) if layers[i] in layers[:i]), None)
        if twice is not None:
            raise UserError(f"{flag} {','.join(taps)}: {twice} is there twice; name each layer once")
        return shapes

    def translate(self, netG: Any, image: torch.Tensor | None) -> Any:
        """netG(image) at the size of the image, whatever that is: padded to the stride and cropped back.

        In a test, larger images than ``--tile`` are drawn in tiles.
        """
        if image is None:
            return None
        if self.goes_in_tiles(image):
            self.tiled = True
            return in_tiles(netG, image, self.opt.tile, self.opt.overlap)
        return whole(netG, image)

    def goes_in_tiles(self, image: torch.Tensor) -> bool:
        """Whether a test was told to draw images as large as this one in tiles."""
        return not self.opt.is_train and 0 < self.opt.tile < max(image.shape[2:])

    @property
    def needs_pairs(self) -> bool:
        return self.opt.lambda_L1 > 0

    def supervised(self, name: str, fake: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
        """The supervised term of pix2pix (Isola et al., 2017, equation 3), if pairs are to be used.

        It is the mean over the pairs of the batch, absent where there are none. Its gradient is so weighted that
        processes and accumulated batches together have that of the mean over all their pairs.
        """
        if not self.opt.lambda_L1 > 0:
            return {}
        self.supervised_terms |= {name}
        if self.pairs is None:
            return {name: self.opt.lambda_L1 * F.l1_loss(fake, target)}
        if not len(self.pairs):  # then the two may differ in size as well
            return {}
        value = self.opt.lambda_L1 * F.l1_loss(fake[self.pairs], target[self.pairs])
        return {name: value if self.pair_weight == 1 else value.detach() + self.pair_weight * (value - value.detach())}

    def may_log(self, term: str) -> bool:
        """Whether this term may be still to come, with a pair or as ``every`` was told."""
        return term in self.supervised_terms or super().may_log(term)

    def check_step(self) -> None:
        """Raises:
        UserError: a subclass compares with B by itself, where some items are no pairs.
        """
        super().check_step()
        if self.opt.lambda_L1 > 0 and self.pairs is not None and not self.supervised_terms:
            due = "compares with real_B by itself; return self.supervised(name, fake_B, real_B), which leaves out "
            raise contract.broken(self, "generator_losses", f"{due}what is no pair, or train with --unpaired drop")
