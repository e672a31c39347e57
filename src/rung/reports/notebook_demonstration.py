"""The cells that show how backpropagation updates weights: words, and numbers that the notebook computes itself."""

from __future__ import annotations

from typing import Final

from rung.reports.notebook_cells import Cell, code, words

_RULE: Final = """\
### How backpropagation updates weights

Forwards, each layer makes its values from those of the layer before: $a_k = f(a_{k-1} W_k + b_k)$; the last makes
probabilities $p$, and the loss is $-\\log p$ of the true class.
Backwards, the chain rule is read from the end:

1. at the last layer, softmax and cross-entropy together give the error $p - y$ ($y$: 1 at the true class, else 0);
2. the gradient of a layer's weights is what came in, times that error: $a_{k-1}^T\\,\\delta_k$;
3. the error goes on to the layer before through the same weights, times the slope of its activation: $\\delta_{k-1} = \\delta_k W_k^T \\cdot f'(z_{k-1})$;
4. each weight takes a small step downhill: $W \\leftarrow W - \\text{rate} \\cdot \\text{gradient}$.

Below are these four lines in numpy. They are checked against finite differences, which know no rule:
each weight is moved a little up and down, and the loss is measured."""

_CHECK: Final = """
drawn = np.random.default_rng(1)
images, labels = drawn.normal(size=(12, 6)), drawn.integers(0, 3, 12)
for name in activations():
    weights = start_weights([6, 12, 8, 3])
    pairs = zip(backward(weights, images, labels, name), by_differences(weights, images, labels, name))
    largest = max(np.abs(one - other).max() for layer in pairs for one, other in zip(*layer))
    print(f"{name:8} backpropagation and finite differences agree to 0.00000001: {largest < 1e-8}")
"""

_SHRINK: Final = """
for name in activations():
    weights = start_weights([6] + [32] * 8 + [3])
    sizes = [np.abs(layer[0]).mean() for layer in backward(weights, images, labels, name)]
    print(f"{name:8} mean gradient, first layer to last: " + ", ".join(f"{size:.1e}" for size in sizes))
"""

_RATES: Final = """
for rate in (0.01, 0.5, 20.0):
    weights, losses = start_weights([6, 16, 3]), []
    for update in range(9):
        losses.append(loss_of(weights, images, labels, "tanh"))
        for layer, gradients in zip(weights, backward(weights, images, labels, "tanh")):
            for part, gradient in zip(layer, gradients):
                part -= rate * gradient
    print(f"rate {rate:5}: loss " + ", ".join(f"{loss:.2f}" for loss in losses))
"""

_ZEROS: Final = """
weights = start_weights([6, 12, 8, 3], scale=0.0)
largest = [float(np.abs(layer[0]).max()) for layer in backward(weights, images, labels, "tanh")]
print("largest gradient of each weight matrix that begins at 0:", largest)
"""


def cells() -> list[Cell]:
    """Return the cells; what they print is the same everywhere."""
    return [
        Cell("markdown", _RULE),
        code("activations", "start_weights", "forward", "loss_of", "backward", "by_differences", then=_CHECK),
        words(
            "**The part of the activation.** Line 3 multiplies by a slope at each layer. That of the sigmoid is 0.25 at most, so in nine layers little "
            "comes back to the first; "
            "tanh has slope 1 at 0; ReLU passes the error on whole where a unit is on, and stops it where it is off. Look at how the numbers of a row change "
            "from first to last: those of ReLU stay alike. They are all small because at these first weights half of its units are off in every layer; He's "
            "first weights are larger by the root of 2 to make up for that."
        ),
        code(then=_SHRINK),
        words("**The learning rate.** Nine updates by line 4 with three rates: too small is slow, too large leaps over the valley and does not converge."),
        code(then=_RATES),
        words(
            "**First weights.** From zeros nothing comes back through the weights, and all units of a layer stay alike: "
            "random weights of a fitting size break that."
        ),
        code(then=_ZEROS),
    ]
