"""Tensors of StudioGAN, mimicry and BigGAN-PyTorch by the names of our networks; which code wrote them."""

import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F

Tensors = dict[str, torch.Tensor]
MOST = 10_000  # tensors; the largest of these networks have some hundreds
WRAPPERS = "state_dict", "model_state_dict"  # StudioGAN's and mimicry's keys of the weights
ORIGINAL, U, V = (f"parametrizations.weight.{name}" for name in ("original", "0._u", "0._v"))
WRAPPED = r"^(module\.|Model\.)+"  # what names begin with in DistributedDataParallel; in a network of R3GAN's code
# What a name of one code alone begins with.
MARKS = {
    "StudioGAN": r".*\.conv2d\d\.|(synthesis|mapping)\.|(conv|linear)\d\.weight",
    "BigGAN-PyTorch": r"blocks\.\d+\.\d+\.conv\d\.|output_layer\.",
    "mimicry": r"block\d+\.c\d\.|(local|global)_feat_blocks\.\d+\.c\d\.",
    "R3GAN": r"MainLayers\.\d+\.Layers\.\d+\.",
}
# Part of a published name -> ours, in a block or in attention.
INSIDE = {
    "StudioGAN": {
        **{"conv2d0": "shortcut", "conv2d1": "conv1", "conv2d2": "conv2", "bn1": "norm1", "bn2": "norm2"},
        **{"conv1x1_theta": "query", "conv1x1_phi": "key", "conv1x1_g": "value", "conv1x1_attn": "out"},
        "sigma": "weight",
    },
    "BigGAN-PyTorch": {
        **{"conv_sc": "shortcut", "bn1": "norm1", "bn2": "norm2"},
        **{"theta": "query", "phi": "key", "g": "value", "o": "out", "gamma": "weight"},
    },
    "mimicry": {"c_sc": "shortcut", "c1": "conv1", "c2": "conv2", "b1": "norm1", "b2": "norm2"},
}
# The beginning of a published name outside of blocks -> ours; the first that is found. No name is of both parts but
# those of linear layers, see _outside.
OUTSIDE = {
    "StudioGAN": {
        **{r"linear0\.": "first.", r"bn4\.": "norm.", r"conv2d5\.": "last."},
        r"linear1\.": "heads.logit.linear.",
    },
    "BigGAN-PyTorch": {
        **{r"output_layer\.0\.gain$": "norm.weight", r"output_layer\.0\.(bn\.)?": "norm."},
        **{r"output_layer\.2\.": "last.", r"embed\.": "heads.logit.embedding."},
    },
    "mimicry": {
        **{r"l1\.": "first.", r"b\d+\.": "norm.", r"c\d+\.": "last."},
        **{r"(l\d+|linear)\.": "heads.logit.linear.", r"l_y\.": "heads.logit.embedding."},
        **{
            rf"{place}_nrkhs_{theirs}\.": f"heads.{place}.{ours}."
            for place in ("local", "global")
            for theirs, ours in {"a": "hidden", "b": "out", "sc": "shortcut"}.items()
        },
    },
}


def tensors_of(content: Any) -> Tensors:
    """The weights in a file's content: a state dict, or StudioGAN's and mimicry's dictionary around one.

    Raises:
        ValueError: there are none.
    """
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ValueError("it holds more than the tensors of one network")
    if not content:
        raise ValueError("it holds nothing")
    if len(content) > MOST:  # looking among so many names for each of them takes minutes
        raise ValueError(f"it holds {len(content):,} tensors, and no such network has over {MOST:,}")
    return {re.sub(WRAPPED, "", str(key)): value for key, value in content.items()}


def origin_of(state: Tensors) -> str | None:
    """Whose code wrote these names; None for none of these."""
    return next((name for name, mark in MARKS.items() if any(re.match(mark, key) for key in state)), None)


def renamed(origin: str, state: Tensors) -> tuple[Tensors, int | None]:
    """Tensors by our names, D's blocks counted through as G's; and how many blocks come before attention, if any."""
    state = _with_vectors(state)
    places, place, blocks = {}, None, 0
    for name in _places(state):
        if any(key.startswith((f"{name}.theta", f"{name}.conv1x1_theta")) for key in state):
            places[name], place = "attention", blocks
        else:
            places[name], blocks = f"blocks.{blocks}", blocks + 1
    out = {}
    for key, value in state.items():
        name = next((name for name in places if key.startswith(f"{name}.")), "")
        inside = f"{places[name]}.{_inside(origin, key.removeprefix(f'{name}.'))}" if name else ""
        out[inside or _outside(origin, key, state)] = value
    for key, value in list(out.items()):
        if key == "attention.weight":
            out[key] = value.reshape(1)
        elif key.endswith("running_mean"):
            out.setdefault(key.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
        elif re.match(r"heads\.local\..*(weight|original)$", key):  # published as 1 x 1 convolutions
            out[key] = value.flatten(1)
    return out, place


def _places(state: Tensors) -> list[str]:
    """What comes one after another in a network, in this order: blocks, and attention between them."""
    pattern = r"(blocks\.(\d+)\.(\d+)|block(\d+)|local_feat_blocks\.(\d+)|global_feat_blocks\.(\d+))\."
    found = {m[1]: [int(n or 0) for n in m.groups()[1:]] for key in state if (m := re.match(pattern, key))}
    return sorted(found, key=lambda place: (place.startswith("global"), found[place]))


def _inside(origin: str, key: str) -> str:
    """A name below a block or an attention."""
    first, *rest = key.split(".")
    first = INSIDE[origin].get(first, first)
    if first.startswith("norm"):
        if rest == ["embed", "weight"]:
            return f"{first}.rows"
        rest = ["norm", *rest[1:]] if rest[0] == "bn" else ["norm", *rest] if len(rest) == 1 else rest
    return ".".join([first, *rest])


def _outside(origin: str, key: str, state: Tensors) -> str:
    first, _, rest = key.partition(".")
    there = {name.partition(".")[0] for name in state}
    if origin == "BigGAN-PyTorch" and first == "linear":  # of G, and of D
        return f"{'heads.logit.linear' if 'embed' in there else 'first'}.{rest}"
    if origin == "StudioGAN" and first == "linear2":  # of AC, and of 2C and D2D-CE
        return f"heads.{'embedding.layers.0' if 'embedding' in there else 'classes.linear'}.{rest}"
    if origin == "StudioGAN" and first == "embedding":  # of 2C and D2D-CE, and of a projection
        return f"heads.{'proxy' if 'linear2' in there else 'logit'}.embedding.{rest}"
    for pattern, ours in OUTSIDE[origin].items():
        if re.match(pattern, key):
            return re.sub(pattern, ours, key, count=1)
    return key


def _with_vectors(state: Tensors) -> Tensors:
    """Spectral norm as torch's parametrization keeps it, and statistics of batch norm as torch keeps them.

    Of spectral norm BigGAN-PyTorch and part of mimicry keep u alone and take a step of power iteration in every pass,
    in evaluation without keeping it: the vectors after that step are those that they compute with.
    """
    out: Tensors = {}
    for key, value in state.items():
        module, _, leaf = key.rpartition(".")
        below = f"{module}." if module else ""
        kept = next((state[name] for name in (f"{below}u0", f"{below}sn_u") if name in state), None)
        if leaf == "weight" and kept is not None:
            matrix = value.flatten(1)
            v = F.normalize(kept.flatten() @ matrix, dim=0)
            out |= {below + ORIGINAL: value, below + U: F.normalize(matrix @ v, dim=0), below + V: v}
        elif leaf in ("stored_mean", "stored_var"):
            count = state.get(f"{below}accumulation_counter")  # above 0 it is a sum of so many
            out[below + leaf.replace("stored", "running")] = value if count is None or count <= 0 else value / count
        elif leaf not in ("u0", "sv0", "sn_u", "sn_sigma", "accumulation_counter"):
            out[below + {"weight_orig": ORIGINAL, "weight_u": U, "weight_v": V}.get(leaf, leaf)] = value
    return out
