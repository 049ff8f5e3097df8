"""Networks of StudioGAN, mimicry, BigGAN-PyTorch and R3GAN as ours: which one a file is of, and how it is loaded.

All is read from the names and shapes of tensors. What leaves no trace there is taken as published: ReLU, how maps are
doubled and halved, the eps of norms.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from torch import nn

from models.noise.published_names import ORIGINAL, Tensors, origin_of, renamed, tensors_of
from models.noise.published_r3gan import facts_of
from networks import biggan, sngan
from networks.published import key_differences
from networks.spectral import SpectralNorm

SHARED_DIM = 128  # values of the embedding of classes of all published BigGANs
NETWORKS = {"StudioGAN": "biggan", "BigGAN-PyTorch": "biggan_brock", "mimicry": "sngan"}
# (whose, a pattern of names, what its network is). The first that is found is told.
DIFFERENT = (
    ("StudioGAN", r"(mapping|synthesis)\.", "a StyleGAN"),
    ("StudioGAN", r".*conv2d[34]\.", "a BigGAN-deep, whose blocks have four convolutions; those here have two"),
    ("StudioGAN", r"(de)?conv\d\.|.*deconv", "a DCGAN, whose layers are others than those of --netG dcgan"),
    ("StudioGAN", r"info_", "made for the codes of InfoGAN, which no network here takes"),
    ("StudioGAN", r"(linear|embedding)_mi\.", "of TAC-GAN, whose heads are not here"),
    ("StudioGAN", r"blocks\.\d+\.\d+\.bn0\.", "a D with batch norm, which none here has"),
    ("BigGAN-PyTorch", r".*conv[34]\.", "a BigGAN-deep, whose blocks have four convolutions; those here have two"),
    ("BigGAN-PyTorch", r".*\.u1$", "bounded by several singular values a layer; here it is one"),
    ("mimicry", r"attn_block\.", "SAGAN's, with attention and spectral norm in G; --netG sngan has neither"),
    ("mimicry", r"l_y\.bias", "SSGAN's D, which also tells how an image is turned; none here does"),
)


@dataclass(frozen=True)
class Published:
    """One published network.

    Attributes:
        origin: whose code.
        part: G or D.
        network: its name in the registry.
        arguments: that build it, of a D the trunk and its heads, by the names of the flags where they have one.
        state: tensors by our names; D's blocks are counted through.
        place: blocks before attention; None without any.
        answers: of a D: the names of our heads, and "projection" if the logit is told the class.
    """

    origin: str
    part: str
    network: str
    arguments: dict[str, Any]
    state: Tensors
    place: int | None
    answers: frozenset[str] = frozenset()


def identify_latent(content: Any) -> Published:
    """The network of a file's content.

    Raises:
        ValueError: it is of none that is known here; it says what differs.
    """
    state = tensors_of(content)
    origin = origin_of(state)
    if origin is None:
        first = f"its first names: {', '.join(sorted(state)[:3])}"
        raise ValueError(f"it is no network of StudioGAN, mimicry or BigGAN-PyTorch ({first}), nor of R3GAN")
    for whose, pattern, words in DIFFERENT:
        if whose == origin and any(re.match(pattern, key) for key in state):
            raise ValueError(f"{origin}'s network is {words}")
    try:
        if origin == "R3GAN":
            part, arguments, ours = facts_of(state)
            return Published(origin, part, "r3gan", arguments, ours, None)
        ours, place = renamed(origin, state)
        return _generator(origin, ours, place) if "first.bias" in ours else _discriminator(origin, ours, place)
    except ValueError as error:
        raise ValueError(f"a network of {origin}, but {error}") from None
    except (RuntimeError, IndexError, TypeError, KeyError, ZeroDivisionError):  # of tensors of no such shapes
        raise ValueError(f"the names of {origin}'s networks, but tensors of other shapes") from None


# -- which network -----------------------------------------------------------------------------------------------------


def _weight(state: Tensors, module: str, ndim: int = 4) -> torch.Tensor:
    """
    Raises:
        ValueError: there is none, or of another shape than such a layer has.
    """
    weight = next((state[key] for name in ("weight", ORIGINAL) if (key := f"{module}.{name}") in state), None)
    if weight is None:
        raise ValueError(f"it lacks {module}")
    if weight.ndim != ndim or not weight.numel():
        raise ValueError(f"{module} has the shape {tuple(weight.shape)}")
    return weight


def _widths(state: Tensors) -> list[int]:
    """Channels before, between and behind the blocks."""
    count = len({key.split(".")[1] for key in state if key.startswith("blocks.")})
    weights = [_weight(state, f"blocks.{i}.conv2") for i in range(count)]
    return [_weight(state, "blocks.0.conv1").shape[1], *(weight.shape[0] for weight in weights)]


def _unit(widths: list[int], multiples: tuple[int, ...]) -> int:
    """What a ladder's multiples are multiplied by: --ngf.

    Raises:
        ValueError: the channels are not of this ladder.
    """
    unit = widths[-1] // multiples[-1]
    if not unit or [unit * m for m in multiples] != widths:
        told, ours = (", ".join(map(str, some)) for some in (widths, multiples))
        raise ValueError(f"its blocks have {told} channels; the ladder here is {ours} times --ngf")
    return unit


def _generator(origin: str, state: Tensors, place: int | None) -> Published:
    widths, first = _widths(state), _weight(state, "first", ndim=2)
    blocks, network = len(widths) - 1, NETWORKS[origin]
    bottom = isqrt(first.shape[0] // widths[0])
    size = bottom << blocks
    if bottom**2 * widths[0] != first.shape[0] or size not in biggan.SIZES:
        raise ValueError(f"its first map has {first.shape[0] / widths[0]:g} places and is doubled {blocks} times")
    bounded = f"first.{ORIGINAL}" in state
    if bounded != (network != "sngan"):
        have = ("spectral norm", "none") if bounded else ("no spectral norm", "it")
        raise ValueError(f"its G has {have[0]}, and that of --netG {network} has {have[1]}")
    if network == "sngan":
        table = state.get("blocks.0.norm1.rows")
        classes, z_dim, multiples = 0 if table is None else len(table), first.shape[1], sngan.WIDTHS[size]
    else:
        classes, z_dim = _classes(origin, state, first.shape[1]), first.shape[1] * (blocks + 1)
        multiples = (biggan.BROCK if network == "biggan_brock" else biggan.CONTRAGAN).widths[blocks]
    arguments = dict(size=size, channels=len(_weight(state, "last")), classes=classes, z_dim=z_dim)
    return Published(origin, "G", network, arguments | {"ngf": _unit(widths, multiples)}, state, place)


def _classes(origin: str, state: Tensors, chunk: int) -> int:
    """How many classes share an embedding that conditions norms together with a chunk of the noise; 0 without any.

    Raises:
        ValueError: norms are conditioned otherwise.
    """
    shared = state.get("shared.weight")
    gain = state.get(f"blocks.0.norm1.gain.{ORIGINAL}")
    dim = 0 if shared is None else shared.shape[1]
    if gain is None or gain.shape[1] != dim + chunk:
        if origin == "StudioGAN":
            raise ValueError(
                "of its resnet (SNGAN, SAGAN, ...), which doubles maps by nearest neighbours and gives norms the class "
                "one-hot; --netG sngan doubles bilinearly, as mimicry's does"
            )
        raise ValueError("its noise is not cut into chunks (hier), or classes share no embedding (G_shared)")
    if shared is not None and dim != SHARED_DIM:
        raise ValueError(f"its embedding of classes has {dim} values; here it has {SHARED_DIM}")
    return 0 if shared is None else len(shared)


def _discriminator(origin: str, state: Tensors, place: int | None) -> Published:
    widths = _widths(state)[1:]
    network, logits = NETWORKS[origin], len(_weight(state, "heads.logit.linear", ndim=2))
    if logits != 1:
        raise ValueError(f"its D answers with {logits} logits; those here with one")
    if any(re.match(r"blocks\.\d+\.norm", key) for key in state):
        raise ValueError("its D has batch norm, which none here has")
    if network == "biggan_brock" and len(_weight(state, "blocks.1.conv1")) != widths[1]:
        raise ValueError("the blocks of its D are narrow (D_wide); those here are wide")
    # The ladder of 32 pixels has four blocks alike. A ladder tells no size: at 48 and 64 pixels there are the same.
    multiple = {"biggan": 2, "biggan_brock": 4}.get(network, 1) if len(widths) == 4 else 1
    heads = {match[1] for key in state if (match := re.match(r"heads\.(\w+)\.", key))}
    arguments: dict[str, Any] = {"ndf": widths[0] // multiple, "sn_D": f"blocks.0.conv1.{ORIGINAL}" in state}
    if "proxy" in heads:
        arguments["embed_dim"] = _weight(state, "heads.proxy.embedding", ndim=2).shape[1]
    if "global" in heads:
        arguments["nce_dim"] = len(_weight(state, "heads.global.out", ndim=2))
    projects = any(key.startswith("heads.logit.embedding.") for key in state)
    answers = frozenset([*heads, "projection"] if projects else heads)
    return Published(origin, "D", network, arguments, state, place, answers)


def rows_of_classes(D: Published) -> int:
    """How many classes its term of classes tells apart, which with ADC are twice those of the data; 0 without any."""
    of = r"heads\.(proxy\.embedding|classes\.linear)\..*(weight|original)$"
    return next((len(value) for key, value in D.state.items() if re.match(of, key)), 0)


# -- into a network of ours --------------------------------------------------------------------------------------------


def fitted(found: Published, network: Any) -> tuple[Tensors, list[str]]:
    """The state dict with which ``network`` computes what the published one does, and remarks on what it cannot.

    What the file lacks stays as it is where that adds nothing, as attention at its start, or is a head of its own.
    Heads that the network lacks are left out. Both are told.

    Raises:
        ValueError: it is of another architecture.
    """
    own, state = network.state_dict(), found.state
    if found.network == "r3gan":
        if wrong := list(key_differences(state, own)):
            raise ValueError(f"of another architecture: {'; '.join(wrong[:3])}")
        return state, []
    if found.part == "D":
        state = {_in_trunk(key, network.trunk): value for key, value in state.items()}
    place = len(network.trunk.stem) if found.part == "D" else network.place
    if found.place not in (None, place):
        raise ValueError(f"its attention comes after {found.place} blocks; that of --net{found.part} after {place}")
    theirs, ours = _heads(state), _heads(own)
    state = {key: value for key, value in state.items() if _head(key) not in theirs - ours}
    attends = any(key.startswith(("attention.", "trunk.attention.")) for key in own)
    remarks = []
    if attends and found.place is None:
        remarks.append("it has no attention; that of the network here begins with weight 0, which adds nothing")
    if theirs - ours:
        remarks.append(f"left out, for --model has no such head of D: {', '.join(sorted(theirs - ours))}")
    if ours - theirs:
        remarks.append(f"it lacks heads of D that start afresh: {', '.join(sorted(ours - theirs))}")
    fresh = r"(trunk\.)?attention\." if found.place is None else "^$"
    for key, value in own.items():  # StudioGAN's layer of classes has no bias
        if re.match(fresh, key) or _head(key) in ours - theirs or key == "heads.classes.linear.bias":
            state.setdefault(key, value)
    if wrong := list(key_differences(state, own)):
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(f"of another architecture: {'; '.join(wrong[:3])}{more}")
    return state, remarks


def take_vectors_as_they_are(network: nn.Module) -> tuple[float, float]:
    """Let spectral norm in evaluation use vectors that are averages, as StudioGAN's code does; their lengths."""
    norms = [m for m in network.modules() if isinstance(m, SpectralNorm)]
    lengths = [float(vector.norm()) for m in norms for vector in (m._u, m._v)] or [1.0]
    for norm in norms:
        norm.unit = False
    return min(lengths), max(lengths)


def _in_trunk(key: str, trunk: Any) -> str:
    """The name of D's tensor in our trunk, which is parted where attention and local features are."""
    first, _, rest = key.partition(".")
    if first != "blocks":
        return f"trunk.{key}" if first == "attention" else key
    number, _, rest = rest.partition(".")
    names = [f"{part}.{i}" for part in ("stem", "body") for i in range(len(getattr(trunk, part)))] + ["last"]
    return f"trunk.{names[int(number)]}.{rest}" if int(number) < len(names) else f"trunk.{key}"


def _head(key: str) -> str | None:
    """The head of a tensor; the part of a logit that is told the class counts as one of its own."""
    match = re.match(r"heads\.(\w+)\.(embedding\.)?", key)
    return None if match is None else "projection" if match[1] == "logit" and match[2] else match[1]


def _heads(state: Mapping[str, Any]) -> set[str]:
    return {head for key in state if (head := _head(key)) is not None}
