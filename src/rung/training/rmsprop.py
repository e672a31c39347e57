"""RMSprop in Keras' form, which is not torch's: epsilon is under the root, and the rate is inside the momentum.

With Keras' epsilon of 1e-7 the divisor is never below 3e-4, where torch's goes down to 1e-7: gradients smaller than that are divided by
up to 3,000 times less. torch.optim.RMSprop cannot be set to do this. Source: https://keras.io/api/optimizers/rmsprop/.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import overload

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT


class KerasRMSprop(torch.optim.Optimizer):
    """v = rho v + (1-rho) g^2; m = momentum m + rate g / sqrt(v + epsilon); w = w - m."""

    def __init__(self, params: ParamsT, learning_rate: float = 0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7) -> None:
        super().__init__(params, {"lr": learning_rate, "rho": rho, "momentum": momentum, "eps": epsilon})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update all parameters that have a gradient, once."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if not weights:
                continue
            gradients = [p.grad for p in weights]
            squares = [self._state(p, "square_average") for p in weights]
            torch._foreach_mul_(squares, group["rho"])
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["rho"])
            divisors = torch._foreach_add(squares, group["eps"])
            torch._foreach_sqrt_(divisors)
            if not group["momentum"]:
                torch._foreach_addcdiv_(weights, gradients, divisors, -group["lr"])
                continue
            moments = [self._state(p, "momentum") for p in weights]
            torch._foreach_mul_(moments, group["momentum"])
            torch._foreach_addcdiv_(moments, gradients, divisors, group["lr"])
            torch._foreach_sub_(weights, moments)
        return loss

    def _state(self, parameter: Tensor, name: str) -> Tensor:
        state = self.state[parameter]
        if name not in state:
            state[name] = torch.zeros_like(parameter)
        value: Tensor = state[name]
        return value
