"""Muon, the optimizer of hidden kernels: momentum, made orthogonal by Newton-Schulz steps.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), https://kellerjordan.github.io/posts/muon/.
J. Zhang et al., "Gram Newton-Schulz" (2026), https://dao-lab.ai/blog/2026/gram-newton-schulz: the same steps, taken on the small side of a wide matrix.
torch.optim.Muon takes matrices only; here a convolution kernel (out, in, k, k) is taken as the matrix (out, in*k*k), and kernels of
equal shape are worked on as one batch of matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import overload

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

# Coefficients of the quintic, from the post: the steepest slope at 0 for which the values stay near 1.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_STEPS = 5
_WIDE = 3  # times as many columns as rows, from which the steps on the small side cost less


def orthogonal(matrices: Tensor, dtype: torch.dtype) -> Tensor:
    """Return matrices (B,R,C) with their singular values moved to about 0.7..1.2, computed and returned in `dtype`."""
    x = matrices.to(dtype)
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    # Products of products lose more to rounding: 2e-4 of the result in float32, too much in half precision.
    x = _by_gram(x) if dtype == torch.float32 and x.shape[2] > _WIDE * x.shape[1] else _by_matrix(x)
    return x.mT if tall else x


def _by_matrix(x: Tensor) -> Tensor:
    """Take the steps on the matrices themselves."""
    for _ in range(_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return x


def _by_gram(x: Tensor) -> Tensor:
    """Take the same steps on X Xᵀ: each multiplies X by a polynomial of it, and the product of the polynomials meets X once."""
    gram = x @ x.mT
    product = factor = _factor(gram)
    for _ in range(_STEPS - 1):
        gram = factor @ gram @ factor
        factor = _factor(gram)
        product = factor @ product
    return product @ x


def _factor(gram: Tensor) -> Tensor:
    factor = torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C)
    factor.diagonal(dim1=1, dim2=2).add_(_A)
    return factor


class Muon(torch.optim.Optimizer):
    """Update kernels of two or more dimensions; the step is scaled by sqrt(max(1, rows / columns)), as in torch.optim.Muon.

    learning_rate: size of a step in the spectral norm; momentum: 0..1, a moving average; weight_decay: decoupled, times the rate. A group's "lr" and
    "momentum" may be tensors, float32 (), which are read on their device: a captured step then follows them.
    The Newton-Schulz steps run in bfloat16 on a GPU and in float32 on a processor, unless `dtype` says otherwise.
    """

    def __init__(
        self,
        params: ParamsT,
        learning_rate: float = 0.02,
        momentum: float = 0.95,
        nesterov: bool = True,
        weight_decay: float = 0.0,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(params, {"lr": learning_rate, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay})
        self._dtype = dtype

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update all kernels that have a gradient, once."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            shapes: dict[tuple[torch.Size, torch.device], list[Tensor]] = {}
            for kernel in group["params"]:
                if kernel.grad is not None:
                    shapes.setdefault((kernel.shape, kernel.device), []).append(kernel)
            for kernels in shapes.values():
                self._update(kernels, group["lr"], group["momentum"], group["nesterov"], group["weight_decay"])
        return loss

    def _update(self, kernels: list[Tensor], rate: float | Tensor, momentum: float | Tensor, nesterov: bool, weight_decay: float) -> None:
        for kernel in kernels:
            if "momentum_buffer" not in self.state[kernel]:
                self.state[kernel]["momentum_buffer"] = torch.zeros_like(kernel)
        gradients = [kernel.grad for kernel in kernels if kernel.grad is not None]
        averages = [self.state[kernel]["momentum_buffer"] for kernel in kernels]
        for average, gradient in zip(averages, gradients, strict=True):
            average.lerp_(gradient, 1 - momentum)
        directions = [gradient.lerp(average, momentum) for average, gradient in zip(averages, gradients, strict=True)] if nesterov else averages
        matrices = torch.stack([d.reshape(len(d), -1) for d in directions])
        rows, columns = matrices.shape[1:]
        steps = orthogonal(matrices, self._dtype or (torch.bfloat16 if matrices.is_cuda else torch.float32))
        if weight_decay:
            for kernel in kernels:
                kernel.mul_(1 - rate * weight_decay)
        scale = max(1.0, rows / columns) ** 0.5
        for kernel, step in zip(kernels, steps, strict=True):
            if isinstance(rate, Tensor):
                kernel.addcmul_(step.reshape(kernel.shape).to(kernel.dtype), rate, value=-scale)
            else:
                kernel.add_(step.reshape(kernel.shape), alpha=-rate * scale)
