"""The recipe: everything that changes a result, as one frozen typed value, and nothing else.

Values that a machine or the data decide ("auto", None where said so) are resolved before the first step and written into the
run's recipe.toml. Its files, none of which imports a later one: right, words, fields, rules, whole, text.
"""

from rung.recipe.fields import (
    CNN,
    MLP,
    Activation,
    Augment,
    Compute,
    Data,
    Fast,
    Initialisation,
    Layout,
    Network,
    OptimizerName,
    OwnNetwork,
    Pixels,
    Split,
    Train,
    Views,
)  # fmt: skip
from rung.recipe.text import change, from_toml, parse, read_toml, setting, to_toml
from rung.recipe.whole import Recipe, describe, flat

__all__ = [
    "CNN", "MLP", "Activation", "Augment", "Compute", "Data", "Fast", "Initialisation", "Layout", "Network", "OptimizerName", "OwnNetwork", "Pixels", "Recipe",
    "Split", "Train", "Views", "change", "describe", "flat", "from_toml", "parse", "read_toml", "setting", "to_toml",
]  # fmt: skip
