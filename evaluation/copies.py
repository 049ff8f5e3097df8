"""A copy of a model in training, in test mode: it gets the weights, and nothing of the training is touched."""

from typing import Any


def take_weights(copy: Any, model: Any, engine: Any, use_ema: bool) -> None:
    """Give the networks of a copy the weights of a model in training, averaged ones where it has them."""
    for name, network in copy.networks.items():
        average = engine.averages.get(name) if use_ema else None
        network.load_state_dict((model.networks[name] if average is None else average.module).state_dict())
