"""Optimizers by name, their default settings, the L2 penalty by kind of parameter, and clipping.

`defaults = "keras"` does what Keras' optimizers do, `"torch"` what torch's do: besides other rates and epsilons this means epsilon under
the root (rmsprop, adagrad), accumulators that start at 0.1 (adagrad) and a momentum schedule without delay (nadam). Left as torch has it:
adam, adamw and adamax put epsilon beside the root after the correction for the start, Keras before it, which differs in the
first steps and for gradients near epsilon only; sgd's momentum does not contain the rate, which differs where the rate changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rung.errors import RecipeError, RunError
from rung.recipe import Train
from rung.training.muon import Muon
from rung.training.optimizer_defaults import DEFAULTS, default_rate, resolved
from rung.training.rmsprop import KerasRMSprop

Kind = Literal["convolution", "dense", "last", "other"]


ADAM_RATIO_BESIDE_MUON = 0.15  # 0.05 is Adam's usual 0.001 beside Muon's usual 0.02; this was better where both learn fast (LOG.md)
CAPTURABLE = ("sgd", "adam", "adamw", "muon")  # whose rate may be a tensor, and whose steps a CUDA graph may hold
_RATIO = "rate_ratio"
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def parameter_kinds(model: nn.Module) -> dict[str, Kind]:
    """Return the kind of every parameter by name; "last" is the kernel of `model.head`, or else of the linear layer defined last."""
    head = getattr(model, "head", None)
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    last = head if isinstance(head, nn.Linear) else linear[-1] if linear else None
    kinds: dict[int, Kind] = {}
    for module in model.modules():
        if isinstance(module, _CONVOLUTIONS):
            kinds[id(module.weight)] = "convolution"
        elif isinstance(module, nn.Linear):
            kinds[id(module.weight)] = "last" if module is last else "dense"
    return {name: kinds.get(id(parameter), "other") for name, parameter in model.named_parameters()}


def build_optimizers(model: nn.Module, train: Train) -> list[torch.optim.Optimizer]:
    """Return the optimizers that together update every trainable parameter, which must already be on its device.

    One for all names but muon, which brings an Adam (AdamW where there is weight decay) for what is not a hidden kernel: biases, norms,
    the first kernel and the last layer, as its authors advise. Weight decay acts on kernels only.

    Raises: RecipeError for settings that the optimizer does not have, for a network that has no hidden kernel (muon), or none to train.
    """
    _check(train)
    train = resolved(train)
    kinds = parameter_kinds(model)
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    if not named:
        raise RecipeError("the network has no parameter to train: every one is frozen, or it has none")
    base = default_rate(train)
    if train.optimizer != "muon":
        return [_build(train, train.optimizer, _groups(named, kinds, train, base))]
    outer = {name for name in [*_first_kernel(kinds), *(n for n, kind in kinds.items() if kind == "last")]}
    hidden = {name: p for name, p in named if kinds[name] != "other" and name not in outer}
    if not hidden:
        raise RecipeError("train.optimizer = 'muon' updates hidden kernels, and this network has none between its first and its last: use adamw")
    muon = Muon(hidden.values(), base, train.momentum or 0.0, bool(train.nesterov), train.weight_decay)
    muon.param_groups[0][_RATIO] = 1.0
    rest = _groups([(name, p) for name, p in named if name not in hidden], kinds, train, base, ADAM_RATIO_BESIDE_MUON)
    return [muon, _build(train, "adamw" if train.weight_decay else "adam", rest)] if rest else [muon]


def _first_kernel(kinds: dict[str, Kind]) -> list[str]:
    return [name for name, kind in kinds.items() if kind != "other"][:1]


def _check(train: Train) -> None:
    name = train.optimizer
    if train.momentum and name not in ("sgd", "rmsprop", "muon"):
        raise RecipeError(f"train.momentum = {train.momentum} does nothing with {name}: only sgd, rmsprop and muon have it; set it to 0")
    if train.nesterov and name not in ("sgd", "muon"):
        raise RecipeError(f"train.nesterov does nothing with {name}: only sgd and muon have it; set it to false")
    if train.nesterov and not train.momentum and name == "sgd":
        raise RecipeError("train.nesterov is a form of momentum, and train.momentum is 0: set it, such as to 0.9")
    if train.epsilon is not None and name == "sgd":
        raise RecipeError(f"train.epsilon = {train.epsilon} does nothing with sgd: leave it out")


def _groups(named: list[tuple[str, nn.Parameter]], kinds: dict[str, Kind], train: Train, base: float, ratio: float = 1.0) -> list[dict[str, Any]]:
    """Return parameter groups in the order of definition; where there is weight decay the kernels are a group of their own."""
    decayed = [p for name, p in named if train.weight_decay and kinds[name] != "other"]
    others = [p for name, p in named if not (train.weight_decay and kinds[name] != "other")]
    parts = ((decayed, train.weight_decay), (others, 0.0))
    return [{"params": params, "lr": base * ratio, "weight_decay": decay, _RATIO: ratio} for params, decay in parts if params]


def _build(train: Train, name: str, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    keras = train.defaults == "keras"
    decay, epsilon, momentum = DEFAULTS[train.defaults][train.optimizer].decay, train.epsilon or 0.0, train.momentum or 0.0
    device = groups[0]["params"][0].device.type
    fused = True if device in ("cpu", "cuda") else None
    betas = (0.9, decay)
    if name == "sgd":
        return torch.optim.SGD(groups, momentum=momentum, nesterov=bool(train.nesterov), fused=fused)
    if name == "rmsprop" and keras:
        return KerasRMSprop(groups, rho=decay, momentum=momentum, epsilon=epsilon)
    if name == "rmsprop":
        return torch.optim.RMSprop(groups, alpha=decay, momentum=momentum, eps=epsilon)
    if name == "adagrad":
        # sqrt(sum + epsilon) is what torch computes from a sum that starts epsilon higher, and no epsilon.
        start, outside = (0.1 + epsilon, 0.0) if keras else (0.0, epsilon)
        return torch.optim.Adagrad(groups, initial_accumulator_value=start, eps=outside, fused=True if device == "cpu" else None)
    if name == "adadelta":
        return torch.optim.Adadelta(groups, rho=decay, eps=epsilon)
    if name == "adamax":
        return torch.optim.Adamax(groups, betas=betas, eps=epsilon)
    if name == "nadam":
        # Dozat's 0.96^(t/250) is torch's; Keras leaves the 250 out.
        return torch.optim.NAdam(groups, betas=betas, eps=epsilon, momentum_decay=1.0 if keras else 0.004)
    kind = torch.optim.AdamW if name == "adamw" else torch.optim.Adam
    return kind(groups, betas=betas, eps=epsilon, fused=fused)


def set_rate(optimizers: Sequence[torch.optim.Optimizer], rate: float) -> None:
    """Set the main learning rate; each group keeps its own ratio to it (that of the Adam beside Muon: ADAM_RATIO_BESIDE_MUON)."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            _put(group, "lr", rate * group[_RATIO])


def set_momentum(optimizers: Sequence[torch.optim.Optimizer], momentum: float) -> None:
    """Set Muon's momentum; the others keep theirs."""
    for optimizer in optimizers:
        if isinstance(optimizer, Muon):
            for group in optimizer.param_groups:
                _put(group, "momentum", momentum)


def tensor_rates(optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """Hold rates, and Muon's momentum, in float32 tensors beside the parameters: a captured step reads them there, and setting them fills them."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for name in ("lr", "momentum") if isinstance(optimizer, Muon) else ("lr",):
                group[name] = torch.tensor(float(group[name]), dtype=torch.float32, device=group["params"][0].device)


def _put(group: dict[str, Any], name: str, value: float) -> None:
    if isinstance(group[name], Tensor):
        group[name].fill_(value)
    else:
        group[name] = value


def optimizer_tensors(optimizers: Sequence[torch.optim.Optimizer]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return copies of all state: contiguous tensors by name ("optimizer.0.3.exp_avg": optimizer, parameter, part), and plain numbers."""
    tensors: dict[str, Tensor] = {}
    plain: list[dict[str, Any]] = []
    for position, optimizer in enumerate(optimizers):
        saved = optimizer.state_dict()
        numbers: dict[str, float] = {}
        for parameter, parts in saved["state"].items():
            for part, value in parts.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{position}.{parameter}.{part}"] = value.detach().clone(memory_format=torch.contiguous_format)
                else:
                    numbers[f"{parameter}.{part}"] = value
        plain.append({"kind": type(optimizer).__name__, "rates": [float(group["lr"]) for group in saved["param_groups"]], "numbers": numbers})
    return tensors, {"optimizers": plain}


def restore_optimizers(optimizers: Sequence[torch.optim.Optimizer], tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Put back what `optimizer_tensors` returned, to the bit, into optimizers freshly built from the same recipe and network.

    Tensors of other names are left alone.

    Raises: RunError if number, kinds, parameters or shapes are others.
    """
    kinds, saved_kinds = [type(optimizer).__name__ for optimizer in optimizers], [part["kind"] for part in state["optimizers"]]
    if kinds != saved_kinds:
        raise RunError(f"the saved optimizers are {' and '.join(saved_kinds)}, those of this recipe {' and '.join(kinds)}: resume with the recipe of the run")
    for position, (optimizer, plain) in enumerate(zip(optimizers, state["optimizers"], strict=True)):
        fresh = optimizer.state_dict()["param_groups"]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        parts: dict[int, dict[str, Any]] = {}
        for name, value in tensors.items():
            if name.startswith(f"optimizer.{position}."):
                index, part = name.split(".", 3)[2:]
                parts.setdefault(int(index), {})[part] = _like(value, parameters, int(index), name)
        for name, number in plain["numbers"].items():
            index, part = name.split(".", 1)
            parts.setdefault(int(index), {})[part] = number
        if len(fresh) != len(plain["rates"]):
            raise RunError(
                f"the saved {plain['kind']} has {len(plain['rates'])} groups of parameters, this one {len(fresh)}: resume with the recipe of the run"
            )
        for group, rate in zip(fresh, plain["rates"], strict=True):
            group["lr"] = rate
        optimizer.load_state_dict({"state": parts, "param_groups": fresh})


def _like(value: Tensor, parameters: list[nn.Parameter], index: int, name: str) -> Tensor:
    """Return the saved tensor in the memory layout of its parameter, which fused updates rely on."""
    if index >= len(parameters):
        raise RunError(
            f"the saved optimizer state {name} belongs to parameter {index}, and the network has {len(parameters)}: resume with the network of the run"
        )
    parameter = parameters[index]
    if value.ndim == 0 or parameter.ndim == 0:
        return value.clone()
    if value.shape != parameter.shape:
        raise RunError(
            f"the saved optimizer state {name} has the shape {tuple(value.shape)}, its parameter {tuple(parameter.shape)}: resume with the network of the run"
        )
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


Penalised = list[tuple[float, list[nn.Parameter]]]


def penalised(model: nn.Module, train: Train) -> Penalised:
    """Return the trainable kernels that have an L2 penalty, by its factor l; empty where there is none.

    Raises: RecipeError if there is a factor for a kind of kernels that the network does not have.
    """
    factors: dict[Kind, float] = {"convolution": train.l2_convolution, "dense": train.l2_dense, "last": train.l2_dense if train.l2_last else 0.0}
    kinds = parameter_kinds(model)
    there = {kind for kind in kinds.values() if factors.get(kind)}
    for field, used in (("l2_convolution", {"convolution"}), ("l2_dense", {"dense", "last"})):
        if getattr(train, field) and not there & used:
            raise RecipeError(f"train.{field} = {getattr(train, field)} finds no such kernel in the network (nn.Conv2d, nn.Linear): set it to 0")
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        factor = factors.get(kinds[name], 0.0)
        if factor and parameter.requires_grad:
            groups.setdefault(factor, []).append(parameter)
    return list(groups.items())


@torch.no_grad()
def add_l2_gradient(kernels: Penalised) -> None:
    """Add 2 * l * w to the gradients of the kernels, what the penalty l * sum(w^2) adds; kernels without a gradient are left alone."""
    for factor, parameters in kernels:
        pairs = [(p.grad, p) for p in parameters if p.grad is not None]
        if pairs:
            torch._foreach_add_([gradient for gradient, _ in pairs], [p for _, p in pairs], alpha=2 * factor)


@torch.no_grad()
def l2_penalty(kernels: Penalised) -> float:
    """Return the sum of l * sum(w^2) over the kernels."""
    return sum(factor * torch.stack([p.float().square().sum() for p in parameters]).sum().item() for factor, parameters in kernels)


@torch.no_grad()
def clip(model: nn.Module, train: Train) -> Tensor:
    """Cut all gradients, by value and then by their common norm, as `train` says; return the norm before, a scalar that may not be finite."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if train.clip_value is not None:
        torch._foreach_clamp_min_(gradients, -train.clip_value)
        torch._foreach_clamp_max_(gradients, train.clip_value)
    if train.clip_norm is not None:
        current = norm if train.clip_value is None else torch.nn.utils.get_total_norm(gradients)
        torch._foreach_mul_(gradients, (train.clip_norm / (current + 1e-6)).clamp(max=1.0))
    return norm
