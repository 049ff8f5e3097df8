"""Between image files and tensors.

On the way in an image is *pixels* for as long as it is scaled and cropped: an array (H, W, C) of bytes, or of floats
in [-1, 1] where a file is deeper than 8 bits or its values have units. ``to_tensor`` ends that.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import torch
from PIL import Image

from options import UserError
from util.reading import heif, science, tiff
from util.reading.frames import split
from util.reading.item import Item, as_file
from util.reading.pixels import ORIENTATION, check_size, open_array, pixels_of, upright
from util.values import SHARE, Units, real
from util.writing import new_file

# What a file may be, whatever its name says. EPS is not among them: Pillow would start Ghostscript for it.
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "DIB", "TIFF", "WEBP", "GIF", "AVIF")
ANIMATED = ("GIF", "WEBP", "AVIF")
PLAIN = frozenset({"", ".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".webp", ".gif"})  # endings of what Pillow reads
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as Pillow's mode L
T = TypeVar("T")
SMALL_QUALITY = 82  # of the WebPs that pages show in place of large files, in [0, 100]
PNG = b"\x89PNG\r\n\x1a\n"


def to_uint8(image: torch.Tensor) -> np.ndarray:
    """A float image (C, H, W) in [-1, 1] as bytes (H, W), (H, W, 3) or (H, W, 4), rounded to the nearest level.

    Four channels are colour with transparency. Two, or more than four, show their first as grey.
    """
    image = image.detach().float().cpu().clamp(-1, 1)
    image = image[:1] if image.shape[0] not in (1, 3, 4) else image
    levels = ((image + 1) * 127.5).round().to(torch.uint8).numpy()
    return levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0)


def mosaic(images: torch.Tensor, columns: int, gap: int = 1) -> torch.Tensor:
    """Images (N, C, H, W) as one (C, rows * (H + gap) + gap, columns * (W + gap) + gap), row by row, on mid grey."""
    rows, (C, H, W) = -(-len(images) // columns), images.shape[1:]
    sheet = images.new_zeros(C, rows * (H + gap) + gap, columns * (W + gap) + gap)
    for i, image in enumerate(images):
        top, left = gap + i // columns * (H + gap), gap + i % columns * (W + gap)
        sheet[:, top : top + H, left : left + W] = image
    return sheet


def save_image(image: torch.Tensor, path: Path, root: Path | None = None) -> None:
    """Write one image (C, H, W) in [-1, 1] as a PNG; folders are made, below ``root`` through no link."""
    save_levels(to_uint8(image), path, root)


def encode(image: torch.Tensor, suffix: str, units: Units | None) -> np.ndarray:
    """An image (C, H, W) in [-1, 1] as (H, W, C) for a file of this kind.

    JPEGs, and PNGs without units, hold bytes; anything else values in its units, or shares of white.
    """
    if suffix in (".jpg", ".jpeg") or (suffix == ".png" and units is None):
        levels = ((image.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()
    else:
        levels = (units or SHARE).values(image)
    return levels.transpose(1, 2, 0)


def save_levels(pixels: np.ndarray, path: Path, root: Path | None = None) -> None:
    """Write an array, (H, W) or (H, W, C), as a .jpg, .npy, .tif, or else a PNG; folders are made.

    JPEGs are of bytes, PNGs of bytes or uint16, the others of anything.
    """
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 and path.suffix.lower() != ".npy" else pixels
    with new_file(path, root) as file:  # a page that is being looked at never loads half a file
        if path.suffix.lower() == ".npy":
            np.save(file, pixels)
        elif path.suffix.lower() in (".tif", ".tiff"):
            _write_tiff(pixels, file)
        elif pixels.dtype == np.uint16:
            file.write(_deep_png(pixels if pixels.ndim == 3 else pixels[..., None]))
        else:
            picture = Image.fromarray(pixels)
            jpeg = path.suffix.lower() in (".jpg", ".jpeg")
            picture.save(file, format="JPEG" if jpeg else "PNG", **({"quality": 95} if jpeg else {}))


def save_small(pixels: np.ndarray, width: int, path: Path, root: Path | None = None) -> None:
    """Write bytes (H, W) or (H, W, C) as a WebP of at most this width; folders are made."""
    picture = Image.fromarray(pixels)
    picture = picture.convert("RGBA" if picture.mode == "RGBA" else "RGB")
    if picture.width > width:
        size = width, max(1, round(picture.height * width / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    with new_file(path, root) as file:
        picture.save(file, "WEBP", quality=SMALL_QUALITY)


def _write_tiff(pixels: np.ndarray, file: Any) -> None:
    import tifffile

    colours = pixels.ndim == 3 and pixels.shape[2] in (3, 4)
    layout: Any = {"planarconfig": "contig"} if pixels.ndim == 3 else {}
    content = io.BytesIO()  # for it wants to know the path of a file
    tifffile.imwrite(content, pixels, photometric="rgb" if colours else "minisblack", metadata=None, **layout)
    file.write(content.getbuffer())


def _deep_png(values: np.ndarray) -> bytes:
    """A PNG of uint16 (H, W, C), which Pillow writes of one channel alone."""
    height, width, channels = values.shape
    rows = values.astype(">u2").view(np.uint8).reshape(height, -1)
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)  # no filter, row by row

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    return PNG + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6)) + chunk(b"IEND", b"")


def read_image(path: Path | Item, channels: int, units: Units | None = None) -> torch.Tensor:
    """One image as float (C, H, W) in [-1, 1]; see :func:`read_pixels`."""
    return to_tensor(read_pixels(path, channels, units))


def to_tensor(pixels: np.ndarray) -> torch.Tensor:
    """Pixels (H, W, C) as a float image (C, H, W) in [-1, 1]."""
    image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    return image.float().div_(127.5).sub_(1) if image.dtype == torch.uint8 else image.float()


def from_pillow(image: Image.Image, channels: int, units: Units | None = None) -> np.ndarray:
    """A picture in memory as pixels (H, W, C), as :func:`read_pixels` has them; it is not turned upright.

    Raises:
        UserError: it has other channels.
    """
    return _fit(
        _scaled(pixels_of(image, channels, deep=units is not None), channels, units), channels, Path("the image")
    )


def read_pixels(path: Path | Item, channels: int, units: Units | None = None) -> np.ndarray:
    """Decode a file, or an item, into pixels with this many channels.

    EXIF orientation is applied. Of a file of several pages the path names one, see :mod:`util.reading.frames`.
    For one channel or three, transparency is laid on white and colours become luma or grey becomes colour; any other
    number must be what the file has. Without units integers are scaled by the largest value of their type, so 16 bits
    keep their precision, and floats of .npy and TIFF files are in [0, 1].

    Args:
        path: an image, a TIFF of any number of channels, or a .npy array (H, W) or (H, W, C).
        channels: C of the result.
        units: what the file's values are, of any type.

    Raises:
        UserError: the file is missing, not an image, damaged, too large, of several pages, or has other channels.
    """

    def read() -> np.ndarray:
        array, own = _decode(path, channels, units)
        return _fit(_scaled(array, channels, units or own), channels, path)

    return _reading(path, read)


def read_values(path: Path | Item, channels: int) -> tuple[np.ndarray, Units | None]:
    """The values of a file as they are, without transparency, and what they are in unless somebody says otherwise.

    Raises:
        UserError: as :func:`read_pixels`.
    """

    def read() -> tuple[np.ndarray, Units | None]:
        array, own = _decode(path, channels, SHARE)
        values = real(array[..., :-1] if _has_alpha(array, channels) else array)
        own = own or _units_of_type(array.dtype)
        unknown = own is SHARE and not 0 <= values.min() <= values.max() <= 1  # which read_pixels refuses
        return values, None if unknown else own

    return _reading(path, read)


def _reading(path: Path | Item, read: Callable[[], T]) -> T:
    if isinstance(path, Path) and not split(path)[0].is_file():
        what = "a link to nothing" if path.is_symlink() else "not a file" if path.exists() else "no such file"
        raise UserError(f"{path}: {what}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata of a readable picture
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return read()
    except UserError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UserError(f"{path}: more than {Image.MAX_IMAGE_PIXELS} pixels; scale it down or leave it out") from None
    except Exception as error:  # decoders of damaged files raise what they please
        reason = str(error) or type(error).__name__
        if isinstance(error, Image.UnidentifiedImageError):
            filled = path.read() if isinstance(path, Item) else split(path)[0].stat().st_size
            reason = "not an image" if filled else "empty file"
        raise UserError(f"{path}: cannot be read ({reason})") from None


def _decode(path: Path | Item, channels: int, units: Units | None) -> tuple[np.ndarray, Units | None]:
    """Values with whatever type and channels the file has, upright, and what they are in if the file says so."""
    if isinstance(path, Item):
        data = path.read()
        if is_plain(path.suffix, data):
            return _decode_opened(io.BytesIO(data), path, None, channels, units), None
        with as_file(path, data) as file:
            return _decode(file, channels, units)
    file, page = split(path)
    if science.knows(file):
        return science.read(file, _the_page(path, range(science.count(file)), page))
    if path.suffix.lower() == ".npy":
        array = open_array(path)
        return _bounded(array[..., None] if array.ndim == 2 else array), None
    kind = heif.kind_of(file)
    if kind == "heic":
        pictures = heif.opened(file)
        found = heif.decoded(_the_page(path, pictures, page))
        return (found if isinstance(found, np.ndarray) else pixels_of(found, channels, deep=units is not None)), None
    if kind == "avif":
        heif.check_avif(path)
    return _decode_picture(path, channels, units), None


def _decode_picture(path: Path, channels: int, units: Units | None) -> np.ndarray:
    file, page = split(path)
    with file.open("rb") as opened:
        if opened.read(4) in tiff.HEADS:
            return tiff.decode(file, _the_page(path, tiff.pages(file), page), channels, deep=units is not None)
        return _decode_opened(opened, path, page, channels, units)


def _decode_opened(
    opened: BinaryIO, path: Path | Item, page: int | None, channels: int, units: Units | None
) -> np.ndarray:
    """What Pillow reads, of an opened file or of bytes in memory."""
    opened.seek(0)
    head = opened.read(26)
    opened.seek(0)
    with Image.open(opened, formats=FORMATS) as image:
        if image.format in ANIMATED:
            image.seek(_the_page(path, range(getattr(image, "n_frames", 1)), page))
        turn = image.getexif().get(ORIENTATION, 1)
        if head[:4] == PNG[:4] and head[24] == 16 and head[25] != 0:
            opened.seek(0)
            array = _decode_deep_png(opened.read())  # Pillow keeps 8 of the 16 bits of a colour
        else:
            array = pixels_of(image, channels, deep=units is not None)
    return upright(array, turn)


def is_plain(suffix: str, data: bytes) -> bool:
    """Whether Pillow reads these bytes as they are: no TIFF, HEIC or AVIF, nor an array."""
    return suffix.lower() in PLAIN and data[:4] not in tiff.HEADS and data[4:8] != b"ftyp"


def _the_page(path: Path | Item, places: Sequence[T], page: int | None) -> T:
    """The place of a page in its file, or of the only one where none is named."""
    if page is None and len(places) > 1:
        raise UserError(
            f"{path}: has {len(places)} pages or frames, and one picture is asked for; where a folder is read each is "
            "an image of its own"
        )
    if page is not None and not 0 <= page < len(places):
        raise ValueError(f"there are {len(places)} pages")
    return places[page or 0]


def _decode_deep_png(file: bytes) -> np.ndarray:
    from torchvision.io import ImageReadMode, decode_png

    data = torch.frombuffer(bytearray(file), dtype=torch.uint8)
    return decode_png(data, ImageReadMode.UNCHANGED).numpy().transpose(1, 2, 0)


def _bounded(array: np.ndarray) -> np.ndarray:
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"an array of shape {array.shape}; expected (height, width) or (height, width, channels)")
    check_size(array.shape[0], array.shape[1], array.size)
    return array


def _units_of_type(kind: np.dtype) -> Units | None:
    """What values of a type are in; nobody knows of integers with a sign."""
    if kind.kind == "u":
        return Units(0, int(np.iinfo(kind).max), whole=True)
    return {"b": Units(0, 1, whole=True), "f": SHARE}.get(kind.kind)


def _has_alpha(array: np.ndarray, channels: int) -> bool:
    return channels in (1, 3) and array.shape[2] in (2, 4)


def _scaled(array: np.ndarray, channels: int, units: Units | None) -> np.ndarray:
    """Values of any type as bytes, or as floats in [-1, 1]."""
    if units is None:
        return _scaled_by_type(array)
    pixels = units.image(array)
    if _has_alpha(array, channels):  # how opaque a pixel is has no units
        alpha = _scaled_by_type(array[..., -1:])
        pixels[..., -1:] = alpha / np.float32(127.5) - 1 if alpha.dtype == np.uint8 else alpha
    return pixels


def _scaled_by_type(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return np.array(array)
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    units = _units_of_type(array.dtype)
    way_out = "or a --value_range, lo,hi or auto"
    if units is None:
        raise ValueError(f"values of type {array.dtype}; expected unsigned integers or floats, {way_out}")
    if units.whole:
        return (array.astype(np.float64) * (2 / units.high) - 1).astype(np.float32)
    low, high = float(array.min()), float(array.max())
    if not 0 <= low <= high <= 1:  # also where one is not a number
        raise ValueError(f"floats from {low:g} to {high:g}; expected 0 to 1, {way_out}")
    return array.astype(np.float32) * 2 - 1


def _fit(pixels: np.ndarray, channels: int, path: Path | Item) -> np.ndarray:
    """Give pixels the channels that are wanted: luma, replication, transparency on white."""
    found = pixels.shape[2]
    if pixels.size == 0:
        raise ValueError("no pixels")
    if found == channels:
        return pixels
    if channels not in (1, 3) or found > 4:
        raise UserError(
            f"{path}: has {found} channel{'s' * (found != 1)}, not {channels}; "
            "see --input_nc and --output_nc of the training"
        )
    if found == 1:
        return pixels.repeat(3, axis=2)
    deep = pixels.dtype != np.uint8
    values = pixels if deep else pixels.astype(np.float32) / 127.5 - 1
    if found in (2, 4):
        alpha = (values[..., -1:] + 1) / 2
        values = values[..., :-1] * alpha + (1 - alpha)
    if channels < values.shape[2]:
        values = values @ LUMA[:, None]
    elif channels > values.shape[2]:
        values = values.repeat(3, axis=2)
    return values if deep else ((values + 1) * 127.5).round().astype(np.uint8)


def to_bytes(images: torch.Tensor) -> torch.Tensor:
    """Images (N, C, S, S) in [-1, 1] as bytes, rounded to the nearest level, as they are written to files."""
    return ((images.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def from_bytes(levels: torch.Tensor) -> torch.Tensor:
    return levels.float() / 127.5 - 1
