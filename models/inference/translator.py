"""A trained generator as a function of images, whatever they come as."""

import contextlib
import fnmatch
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from models.inference.memory import may_tile, smaller, telling_of_memory
from models.inference.weight_folder import OTHER, from_model, from_weights, trained_direction
from networks.tiling import tiled, whole
from options import Exit, UserError
from util.commit import names as names_in
from util.config import kept_options
from util.device import DTYPES, channels_last_pays, choose_device, computes_in_bf16
from util.images import from_pillow, to_tensor, to_uint8
from util.reading.weights import load_weights
from util.scale import chosen_factor, resized, scaled_size, trained_scale, words_of
from util.training.manifest import usable, weights_of
from util.values import Units, units_of


class Translator:
    """``translator(image)`` is the translation of an image, of the same kind and size.

    | image | translation |
    |---|---|
    | PIL image | PIL image, RGB, L or RGBA |
    | numpy array (H, W, C) or, with one channel, (H, W), uint8 | the same |
    | float tensor (C, H, W) or (B, C, H, W) in [-1, 1] | the same, on its device |

    The generator of a run with --value_range takes images in the values of its data, and makes such:

    | image | translation |
    |---|---|
    | numpy array of integers or floats | of the same type, or where that cannot hold them of one that can |
    | PIL image of one channel, such as I;16 | I;16, I or F |

    Args:
        netG: a generator; it is put in eval mode.
        device, precision: as the flags; ``auto`` precision is bf16 where that is fast.
        tile, overlap: cut larger images into tiles, in pixels; see :func:`networks.tiling.tiled`.
        batch_size: images of one size that ``batch`` gives to the network together.
        scale, keep_scale: at which size, as the flags.
        trained: the scale of the training, see :mod:`util.scale`.
    """

    def __init__(
        self,
        netG: Any,
        *,
        device: str = "auto",
        gpu_ids: str = "0",
        precision: str = "fp32",
        tile: int = 0,
        overlap: int = 128,
        batch_size: int = 1,
        scale: str = "auto",
        keep_scale: bool = False,
        trained: float | None = None,
    ):
        self.device = choose_device(device, gpu_ids)
        if precision == "auto":
            precision = "bf16" if computes_in_bf16(self.device) else "fp32"
        if precision not in ("fp32", *DTYPES):
            raise UserError(f"precision {precision!r}: choose from fp32, bf16, fp16, auto")
        if batch_size < 1 or tile < 0 or (tile and not 0 <= overlap < tile):
            raise UserError(
                f"batch_size {batch_size}, tile {tile}, overlap {overlap}: a batch is 1 or more, overlap below tile"
            )
        may_tile(tile, [netG])
        self.factor, self.keep_scale = chosen_factor(scale, trained), keep_scale
        self.scaling = words_of(scale, trained, self.factor, keep_scale)
        self.precision, self.tile, self.overlap, self.batch_size = precision, tile, overlap, batch_size
        self.memory_format = (
            torch.channels_last if channels_last_pays(self.device, precision != "fp32") else torch.contiguous_format
        )
        self.netG = netG.eval().requires_grad_(False).to(self.device, memory_format=self.memory_format)
        self.input_nc, self.output_nc, self.direction, self.file = 3, 3, "AtoB", Path()
        self.takes: Units | None = None  # what values of images are, and of translations; None are levels of 8 bits
        self.makes: Units | None = None

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path,
        direction: str = "auto",
        *,
        epoch: str = "latest",
        use_ema: bool = True,
        of_run: Callable[[Path], Any] | None = None,
        **settings: Any,
    ) -> "Translator":
        """The generator of a run, of a folder of published weights, or of one .pth file.

        The architecture is read from the weights. Nothing in the files is executed, and no plugin is imported.

        Args:
            direction: AtoB or BtoA in the names of the data's folders, or ``auto``, the direction of the training.
            epoch, use_ema: which weights of a folder.
            of_run: makes the model of a run's folder, with its options, where weights alone do not show what they are
                of: a method of one's own may have any generator. None where it cannot.
            settings: of the Translator.

        Raises:
            UserError: no such checkpoint, no generator of that direction, or damaged (exit code 4).
        """
        file, found = find_weights(Path(path), direction, epoch, use_ema)
        run = file.parent
        try:
            netG, channels = from_weights(file)
        except UserError:
            if of_run is None or (model := of_run(run)) is None:
                raise
            netG, channels = from_model(file, model)
        load_weights(netG, file)
        translator = cls(netG, **{"trained": trained_scale(run, found[0])} | settings)
        translator.input_nc, translator.output_nc = channels
        translator.direction, translator.file = found, file
        options = kept_options(run)
        translator.takes, translator.makes = (units_of(options, side) for side in (found[0], found[-1]))
        return translator

    def __call__(self, image: Any) -> Any:
        if isinstance(image, torch.Tensor) and image.ndim == 4:
            return torch.cat([self._again(image, x) for x in self._translate(self._tensor(image))])
        return self.batch([image])[0]

    def batch(self, images: Sequence[Any]) -> list[Any]:
        """The translations of images, in their order; neighbours of one size go through the network together."""
        out: list[Any] = []
        group: list[torch.Tensor] = []
        for image in images:
            tensor = self._tensor(image)
            if tensor.ndim != 3:
                raise ValueError(f"an image of shape {tuple(tensor.shape)}; expected (C, H, W)")
            if group and (len(group) == self.batch_size or group[0].shape != tensor.shape):
                out += self._translate(torch.stack(group))
                group = []
            group.append(tensor)
        if group:
            out += self._translate(torch.stack(group))
        return [self._again(image, x) for image, x in zip(images, out, strict=True)]

    def rows(
        self, image: torch.Tensor, step: Callable[[float], None] = lambda fraction: None
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """The translation of one image (C, H, W) in bands: (top, (C, h, W)) on the CPU, from the first to the last.

        Larger images are cut into tiles if ``tile`` says so, and no more than one row of tiles is held at a time.
        """
        if self.factor != 1:
            made = self._scaled(image[None], lambda x: self._whole(x[0], step)[None])
            yield 0, made[0]
            return
        yield from self._rows(image, step)

    def _whole(self, image: torch.Tensor, step: Callable[[float], None] = lambda fraction: None) -> torch.Tensor:
        return torch.cat([band for _, band in self._rows(image, step)], 1)

    def _scaled(self, batch: torch.Tensor, translate: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """``translate`` at ``factor`` of the size, and back to the size of the batch unless ``keep_scale``."""
        height, width = batch.shape[2:]
        with torch.inference_mode():
            made = translate(resized(batch.float(), scaled_size((height, width), self.factor)))
            return made if self.keep_scale else resized(made, (height, width))

    def made_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the translation of a picture."""
        return scaled_size((height, width), self.factor) if self.keep_scale else (height, width)

    def _rows(
        self, image: torch.Tensor, step: Callable[[float], None] = lambda fraction: None
    ) -> Iterator[tuple[int, torch.Tensor]]:
        C, H, W = image.shape
        if self.input_nc != C:
            raise ValueError(f"an image of {C} channels; {self.file.name or 'the network'} takes {self.input_nc}")
        if not self.tile or max(H, W) <= self.tile:
            with self._computing():
                made = whole(self.netG, self._place(image[None]))[0].float().cpu()
            yield 0, made
            return

        def crop(top: int, bottom: int, left: int, right: int) -> torch.Tensor:
            return self._place(image[None, :, top:bottom, left:right])

        bands = tiled(self.netG, crop, H, W, self.tile, self.overlap, step)
        while True:
            with self._computing():  # band by band: what the caller does in between is none of it
                found = next(bands, None)
            if found is None:
                return
            yield found[0], found[1][0]

    def _translate(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) in [-1, 1] to float (B, C, H, W) on the CPU, or where the batch is if that is the device."""
        if batch.shape[1] != self.input_nc:
            raise ValueError(f"images of {batch.shape[1]} channels; the network takes {self.input_nc}")
        if self.factor != 1:
            return self._scaled(batch, self._at_this_size)
        return self._at_this_size(batch)

    def _at_this_size(self, batch: torch.Tensor) -> torch.Tensor:
        if self.tile and max(batch.shape[2:]) > self.tile:
            return torch.stack([self._whole(image) for image in batch])
        with self._computing():
            parts = [whole(self.netG, self._place(part)).float() for part in batch.split(self.batch_size)]
        return torch.cat(parts).to(batch.device)

    def _place(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.to(self.device, non_blocking=True).contiguous(memory_format=self.memory_format)

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        low = self.precision != "fp32"
        with (
            self.telling_of_memory(),
            torch.inference_mode(),
            torch.autocast(self.device.type, DTYPES.get(self.precision), low),
        ):
            yield

    def telling_of_memory(self) -> contextlib.AbstractContextManager[None]:
        """One line of what needs less memory, where it runs out inside."""
        return telling_of_memory(self.device, smaller([self.netG], self.tile, self.batch_size))

    def _tensor(self, image: Any) -> torch.Tensor:
        """An image of any kind as floats in [-1, 1]."""
        if isinstance(image, Image.Image):
            return to_tensor(from_pillow(image, self.input_nc, self.takes))
        if isinstance(image, np.ndarray):
            array = image[..., None] if image.ndim == 2 else image
            if self.takes is not None and array.ndim == 3 and array.shape[2] == self.input_nc:
                return to_tensor(self.takes.image(array))
            if image.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != self.input_nc:
                raise ValueError(
                    f"an array of {image.dtype} and shape {image.shape}; expected uint8 (H, W, {self.input_nc})"
                )
            return to_tensor(array)
        if isinstance(image, torch.Tensor):
            if not image.is_floating_point():
                raise ValueError(f"a tensor of {image.dtype}; expected floats in [-1, 1]")
            return image.detach().float()
        raise TypeError(f"a {type(image).__name__}; expected a PIL image, a numpy array or a tensor")

    def _again(self, image: Any, translation: torch.Tensor) -> Any:
        """The translation (C, H, W) as what the image is."""
        if isinstance(image, torch.Tensor):
            translation = translation.to(image.device, image.dtype).clone()  # clone: no inference tensor goes out
            return translation[None] if image.ndim == 4 else translation
        if isinstance(image, Image.Image):
            return self._picture(translation)
        if self.makes is not None:
            made = _of_type(self.makes.values(translation).transpose(1, 2, 0), image.dtype)
        else:
            made = ((translation.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
        return made[..., 0] if image.ndim == 2 and self.output_nc == 1 else np.ascontiguousarray(made)

    def _picture(self, translation: torch.Tensor) -> Image.Image:
        if self.output_nc not in (1, 3, 4):
            raise ValueError(f"the network makes {self.output_nc} channels, which no PIL image has; give a tensor")
        if self.makes is None:
            return Image.fromarray(to_uint8(translation))
        if self.output_nc != 1:
            raise ValueError("no PIL image has colours of more than 8 bits; give an array or a tensor")
        values = self.makes.values(translation)[0]
        return Image.fromarray(values.astype(np.int32) if values.dtype == np.int16 else values)


def _of_type(values: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Values as another type of number, if it has room for them all; floats stay floats of 32 bits or more."""
    if kind.kind == "f":
        return values.astype(np.promote_types(kind, np.float32))
    return values.astype(kind) if kind.kind in "ui" and np.can_cast(values.dtype, kind) else values


def results_of(path: Path, direction: str, epoch: str, use_ema: bool) -> tuple[Units | None, int]:
    """Units and channels of what ``from_checkpoint`` would make, as the run tells them without its weights.

    Without units, which a folder without options has not, channels are not looked for.
    """
    options = kept_options(path if path.is_dir() else path.parent)
    if options.get("value_range") is None:
        return None, 3
    _, found = find_weights(path, direction, epoch, use_ema)
    channels = options.get("output_nc" if found == options.get("direction", "AtoB") else "input_nc", 3)
    return units_of(options, found[-1]), int(channels)


def find_weights(path: Path, direction: str, epoch: str, use_ema: bool) -> tuple[Path, str]:
    """The file of the generator of that direction, and the direction it has.

    ``G`` and ``G_A`` translate in the direction of the training, ``G_B`` back. Published weights were trained AtoB.
    """
    if direction not in ("auto", *OTHER):
        raise UserError(f"--direction {direction}: choose from auto, AtoB, BtoA")
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except OSError as error:
        raise UserError(f"--checkpoint {path}: {error.strerror}", code=Exit.CHECKPOINT) from None
    if is_file:
        run, file, names = path.parent, path, []
        side = next((s for s in ("G_A", "G_B") if f"_net_{s}" in path.name), "G")
    elif is_folder:
        run, file, side = path, None, ""
        names = [n for n in ("G", "G_A", "G_B") if fnmatch.filter(names_in(path), f"*_net_{n}.pth")]
        if not names:
            raise UserError(f"--checkpoint {path}: no generator in it, such as {epoch}_net_G.pth", code=Exit.CHECKPOINT)
    else:
        raise UserError(f"--checkpoint {path}: no such file or folder", code=Exit.CHECKPOINT)
    trained = trained_direction(run) or "AtoB"
    wanted = trained if direction == "auto" else direction
    if file is None:
        alone = names == ["G"] or (names[0] == "G" and wanted == trained)
        side = "G" if alone else "G_A" if wanted == trained else "G_B"
        if side not in names:
            there = trained if side == "G_B" else OTHER[trained]
            raise UserError(
                f"--checkpoint {path}: no {side} in it, which translates {wanted}; --direction {there} is there",
                code=Exit.CHECKPOINT,
            )
    found = OTHER[trained] if side == "G_B" else trained
    if direction != "auto" and found != direction:
        only = "it translates one way alone" if side == "G" else "give the file of the other side, or their folder"
        raise UserError(f"--direction {direction}: {path} translates {found}; {only}", code=Exit.DATA)
    if file is None:
        file = weights_of(run, usable(run, epoch), side, use_ema)
    return file, found
