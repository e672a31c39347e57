"""No file imports a later layer, in code or for types only."""

import ast
from pathlib import Path

import pytest

import rung

SOURCE = Path(rung.__file__).parent
LAYERS = [
    "errors", "keys", "words", "heap", "store", "recipe", "recipes", "own", "data", "models", "training", "evaluate", "explain", "audit", "study", "reports",
    "pipeline", "arguments", "workbench", "studies", "racing", "replays", "notebooks", "estimator", "display", "cli", "__main__",
]  # fmt: skip
FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def layer(module: str) -> int:
    return LAYERS.index(module.split(".")[1])


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(SOURCE)) for path in FILES])
def test_imports_point_one_way(path: Path) -> None:
    module = "rung." + ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "rung":
            names = [f"rung.{alias.name}" for alias in node.names if not alias.name.startswith("__")]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rung."):
            names = [str(node.module)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("rung.")]
        else:
            continue
        for name in names:
            assert layer(name) <= layer(module), f"{module} imports the later {name}"
