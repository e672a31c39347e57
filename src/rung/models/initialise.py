"""How weights start: by the name of a rule, each parameter from its own stream of random numbers."""

from __future__ import annotations

import math

import torch
from torch import nn

from rung import keys
from rung.recipe import Initialisation

# Keras draws its normal rules from a normal cut at two deviations; this is the deviation that a standard one so cut has.
_CUT_DEVIATION = 0.87962566103423978
_SCALES = {
    "glorot_uniform": (1.0, "average"),
    "glorot_normal": (1.0, "average"),
    "he_uniform": (2.0, "input"),
    "he_normal": (2.0, "input"),
    "lecun_normal": (1.0, "input"),
}


def initialise(module: nn.Module, rule: Initialisation, seed: int, prefix: str = "") -> None:
    """Draw every convolution and linear layer in `module` anew, in place, by the rule; biases become 0 (torch: torch's own rule for both).

    A parameter's values depend on the rule, the seed, its shape and its name (`prefix` and the name within `module`), and on
    nothing else: not on other parameters, threads, the device, or torch's global random state, which stays as it is.
    Rules are Keras' of the same names (Glorot and Bengio 2010; He et al. 2015; LeCun et al. 1998; orthogonal: Saxe et al. 2014), normal
    has deviation 0.05, uniform is -0.05..0.05. identity: the first filters of a convolution pass its inputs on, one each, as far as there are both; all else is
    drawn by torch's rule, without biases (Jordan, arXiv 2404.00498, after Zagoruyko and Komodakis, "DiracNets", 2017).
    """
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            path = f"{prefix}{name}." if name else prefix
            fan_in = layer.weight[0].numel()
            _put(layer.weight, _draw(layer.weight.shape, rule, _generator(seed, f"{path}weight")))
            if layer.bias is not None:
                _put(layer.bias, _draw_bias(layer.bias.shape, rule, fan_in, _generator(seed, f"{path}bias")))


def _generator(seed: int, name: str) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(keys.torch_seed(seed, f"initialise {name}"))


def _put(parameter: torch.Tensor, values: torch.Tensor) -> None:
    with torch.no_grad():
        parameter.copy_(values)


def _draw(shape: torch.Size, rule: Initialisation, generator: torch.Generator) -> torch.Tensor:
    """Return float32 values of this shape, (outputs, inputs, ...), on the CPU."""
    values = torch.empty(shape, dtype=torch.float32, device="cpu")
    fan_in = values[0].numel()
    fan_out = shape[0] * values[0, 0].numel()
    if rule == "zeros":
        return nn.init.zeros_(values)
    if rule == "orthogonal":
        return _orthogonal(values, generator)
    if rule == "normal":
        return nn.init.normal_(values, 0.0, 0.05, generator=generator)
    if rule == "uniform":
        return nn.init.uniform_(values, -0.05, 0.05, generator=generator)
    if rule in ("torch", "identity"):
        nn.init.kaiming_uniform_(values, a=math.sqrt(5), generator=generator)
        if rule == "identity" and values.ndim == 4:
            nn.init.dirac_(values[: values.shape[1]])
        return values
    gain, fan = _SCALES[rule]
    deviation = math.sqrt(gain / (fan_in if fan == "input" else (fan_in + fan_out) / 2))
    if rule.endswith("_uniform"):
        limit = math.sqrt(3) * deviation
        return nn.init.uniform_(values, -limit, limit, generator=generator)
    wide = deviation / _CUT_DEVIATION
    return nn.init.trunc_normal_(values, 0.0, wide, -2 * wide, 2 * wide, generator=generator)


def _orthogonal(values: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the factorisation's last bits would depend on how many share the work
    try:
        return nn.init.orthogonal_(values, generator=generator)
    finally:
        torch.set_num_threads(threads)


def _draw_bias(shape: torch.Size, rule: Initialisation, fan_in: int, generator: torch.Generator) -> torch.Tensor:
    values = torch.zeros(shape, dtype=torch.float32, device="cpu")
    if rule != "torch":
        return values
    limit = 1 / math.sqrt(fan_in)
    return nn.init.uniform_(values, -limit, limit, generator=generator)
