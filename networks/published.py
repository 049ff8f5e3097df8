"""Which generator a file of weights is of: published files come without the options that built them."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from .registry import define_generator
from .stylegan2 import width

State = Mapping[str, Any]
# The first convolutions of generators.
FIRST = ("model.1.weight", "model.model.0.weight", "encoder.convs.1.0.weight", "encoder.1.weight")
WAYS = "encoder.", "decoder."
OLD_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
PATCHES = "a patch discriminator"
# What a file that is no generator looks like: the keys that say so, and what it is.
OTHERS = (
    ({"model", "optimizers", "progress"}, "the full state of a training run; its weights are in <label>_net_G.pth"),
    ({"state_dict"}, "a dictionary around weights; save what is under its key 'state_dict'"),
    ({"mlp_0.0.weight"}, "a head F, which training alone needs"),
    ({"conv_0.0.weight"}, "a head F, which training alone needs"),
    ({"final_linear.0.weight"}, "a StyleGAN2 discriminator"),
    ({"net.0.weight"}, "a pixel discriminator"),
    ({"model.4.weight", "model.6.weight", "model.0.bias"}, "the head of SimDCL, which training alone needs"),
    ({"model.0.weight"}, PATCHES),
)


def identify(state: State) -> tuple[str, dict[str, Any]]:
    """The generator whose weights these are: its name in the registry, and the arguments that build it.

    Everything is read from the names and shapes. An argument that leaves no trace there, such as the dropout of a
    U-Net, is left out. StyleGAN2's widths depend on ngf * size alone, but for a cap; the published size that gives
    a whole ngf is chosen.

    Raises:
        ValueError: these are not a generator's weights, or of one that is not in the registry; it says what they
            look like, or which keys are odd.
    """
    if not state or not all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in state.items()):
        raise ValueError(f"it holds {_kind(state)}")
    state = clean(state)
    first = next((state[key] for key in FIRST if key in state), None)
    if first is not None and first.ndim != 4:
        raise ValueError(f"its first convolution has the shape {tuple(first.shape)}")
    if "model_res.0.adaptive.style_net.weight" in state:
        name, arguments = _bridge(state)
    elif any(".conv_block." in key for key in state) and "model.1.weight" in state:
        name, arguments = _resnet(state)
    elif "model.model.0.weight" in state:
        name, arguments = _unet(state)
    elif "encoder.convs.1.0.weight" in state:
        name, arguments = _stylegan2(state)
    elif "decoder.0.conv_block.2.fc.weight" in state and "encoder.1.weight" in state:
        name, arguments = _adain_resnet(state)
    else:
        raise ValueError(f"it holds {_kind(state)}")
    with torch.device("meta"):
        network = define_generator(name, **arguments)
    wrong = list(key_differences(getattr(network, "alive", dict)(state), network.state_dict()))
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(f"it looks like {name}, but {'; '.join(wrong[:3])}{more}")
    return name, arguments


def clean(state: State) -> dict[str, torch.Tensor]:
    """Weights under today's names: without ``module.``, and without what torch 0.3 kept of instance norms.

    Those are running statistics of a norm that has no weights, behind a convolution with a bias. Of a batch norm
    torch 0.3 kept no count of batches; it is added.
    """
    state = {key.removeprefix("module."): value for key, value in state.items()}
    for key in list(state):
        norm, _, what = key.rpartition(".")
        if what in OLD_STATISTICS and f"{norm}.weight" not in state:
            del state[key]
        elif what == "running_mean":
            state.setdefault(f"{norm}.num_batches_tracked", torch.tensor(0))
    return state


def key_differences(state: State, expected: State) -> Iterator[str]:
    """How the names and shapes of ``state`` differ from the expected ones, one clause each."""
    yield from (f"{key} is missing" for key in expected if key not in state)
    yield from (f"{key} is unknown" for key in state if key not in expected)
    for key in expected:
        if key in state and expected[key].shape != state[key].shape:
            yield f"{key} is {tuple(state[key].shape)} instead of {tuple(expected[key].shape)}"


def _resnet(state: State) -> tuple[str, dict[str, Any]]:
    layers = sorted(
        {int(key.split(".")[1]) for key in state if key.startswith("model.") and key.split(".")[1].isdigit()}
    )
    blocks = [i for i in layers if any(key.startswith(f"model.{i}.conv_block.") for key in state)]
    if len(blocks) not in (4, 6, 9):
        raise ValueError(f"it looks like a ResNet generator of {len(blocks)} blocks; there are those of 4, 6 and 9")
    filters = [i for i in layers if f"model.{i}.filt" in state]
    first = state["model.1.weight"]
    arguments = dict(
        input_nc=first.shape[1],
        output_nc=_rows(state, f"model.{layers[-1]}.weight"),
        ngf=first.shape[0],
        norm=_norm(state, "model.1", "model.2"),
        use_dropout=f"model.{blocks[0]}.conv_block.5.weight" not in state,
        no_antialias=not any(i < blocks[0] for i in filters),
        no_antialias_up=not any(i > blocks[-1] for i in filters),
    )
    return f"resnet_{len(blocks)}blocks", arguments


def _unet(state: State) -> tuple[str, dict[str, Any]]:
    """Level by level into the U: each holds the next under the index 3, the outermost under 1."""
    inside, downs = "model.model.1.model.", 1
    while f"{inside}1.weight" in state:
        downs, inside = downs + 1, f"{inside}3.model."
    if downs not in (7, 8):
        raise ValueError(f"it looks like a U-Net that halves {downs} times; unet_128 does 7 times and unet_256 8 times")
    first, last = state["model.model.0.weight"], state.get("model.model.3.weight")
    arguments = dict(
        input_nc=first.shape[1],
        output_nc=0 if last is None else last.shape[1],
        ngf=first.shape[0],
        norm=_norm(state, "model.model.1.model.1", "model.model.1.model.2"),
    )
    return {7: "unet_128", 8: "unet_256"}[downs], arguments


def _stylegan2(state: State) -> tuple[str, dict[str, Any]]:
    halved = [key for key in state if key.startswith("encoder.") and key.endswith("skip.1.weight")]
    blocks = [key for key in state if key.startswith("encoder.") and key.endswith("conv1.0.weight")]
    name = {3: "stylegan2", 1: "smallstylegan2"}.get(len(blocks) - len(halved))
    if name is None:
        raise ValueError(
            f"it looks like a StyleGAN2 generator of {len(blocks) - len(halved)} blocks a side; "
            "stylegan2 has 3 and smallstylegan2 1"
        )
    first = state["encoder.convs.1.0.weight"]
    last = max((k for k in state if k.startswith("decoder.") and k.endswith(".0.weight")), key=_depth, default="")
    channels = [first.shape[0]] + [_rows(state, key) for key in sorted(halved, key=_depth)]
    ngf, size = _widths(channels)
    arguments = dict(
        input_nc=first.shape[1],
        output_nc=_rows(state, last),
        ngf=ngf,
        size=size,
        num_downsampling=len(halved),
    )
    return name, arguments


def _adain_resnet(state: State) -> tuple[str, dict[str, Any]]:
    """Santa's: plain residual blocks in the encoder, as many or one more with AdaIN in the decoder."""
    total = sum(key.startswith(WAYS) and key.endswith("conv_block.1.weight") for key in state)
    last = max((k for k in state if k.startswith("decoder.") and k.count(".") == 2), key=_second)
    first = state["encoder.1.weight"]
    if total not in (6, 9):
        raise ValueError(f"it looks like Santa's generator with {total} blocks; there are those of 6 and 9")
    arguments = dict(
        input_nc=first.shape[1],
        output_nc=len(state[last]),
        ngf=first.shape[0],
        style_dim=state["decoder.0.conv_block.2.fc.weight"].shape[1],
        no_antialias=not any(key.startswith("encoder.") and key.endswith(".filt") for key in state),
        no_antialias_up=not any(key.startswith("decoder.") and key.endswith(".filt") for key in state),
    )
    return f"adain_resnet_{total}blocks", arguments


def _bridge(state: State) -> tuple[str, dict[str, Any]]:
    """UNSB's; the published class has keys of layers that it does not compute with."""
    blocks = {key.split(".")[1] for key in state if key.startswith("model_res.")}
    if len(blocks) not in (6, 9):
        raise ValueError(f"it looks like UNSB's generator with {len(blocks)} blocks; there are those of 6 and 9")
    published = "model_res.0.style.weight" in state
    mapping = [key for key in state if key.startswith("z_transform.") and key.endswith(".weight")]
    last = max((k for k in state if k.startswith("model_upsample.") and k.endswith(".weight")), key=_second)
    first = state["model.1.weight"]
    arguments = dict(
        input_nc=first.shape[1],
        output_nc=len(state[last]),
        ngf=first.shape[0],
        block="paper" if "time_embed.0.weight" in state and not published else "released",
        n_mlp=len(mapping) - 1,
        no_antialias="model.7.filt" not in state,
        no_antialias_up="model_upsample.0.filt" not in state,
    )
    return f"resnet_{len(blocks)}blocks_cond", arguments


def _widths(channels: list[int]) -> tuple[int, int]:
    """ngf and size that give StyleGAN2 these channels at size, size / 2, ...; the published pairs come first."""
    ngfs = [64, 10, *range(1, 1025)]
    pairs = [(64, 256), (10, 64), *((ngf, size) for size in (256, 128, 64, 512, 1024, 32, 16, 8, 4) for ngf in ngfs)]
    for ngf, size in pairs:
        if [width(size / 2**i, ngf / 32, cap=512) for i in range(len(channels))] == channels:
            return ngf, size
    raise ValueError(f"it looks like a StyleGAN2 generator, but no --ngf has {', '.join(map(str, channels))} channels")


def _norm(state: State, conv: str, norm: str) -> str:
    """Convolutions have biases in front of instance norm alone; batch norm has statistics."""
    return "instance" if f"{conv}.bias" in state else "batch" if f"{norm}.running_mean" in state else "none"


def _rows(state: State, key: str) -> int:
    return state[key].shape[0] if key in state else 0


def _second(key: str) -> int:
    return int(key.split(".")[1])


def _depth(key: str) -> int:
    return int(key.split(".")[2])


def _is_patch_discriminator(state: State) -> bool:
    """Its convolutions are 4 x 4 and end in one channel, which tells it from a generator of somebody's own."""
    kernels = [v for k, v in state.items() if k.endswith("weight") and getattr(v, "ndim", 0) == 4 and "filt" not in k]
    return all(k.shape[2:] == (4, 4) for k in kernels) and (len(kernels) == 1 or kernels[-1].shape[0] == 1)


def _kind(state: State) -> str:
    """In words: what this file holds instead of a generator."""
    state = {str(key).removeprefix("module."): value for key, value in state.items()}
    found = set(state)
    for keys, words in OTHERS:
        if keys <= found and (words != PATCHES or _is_patch_discriminator(state)):
            return words
    shown = ", ".join(sorted(found)[:3])
    return f"no generator that is known here (its first keys: {shown})" if found else "nothing"
