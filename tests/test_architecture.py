"""The folders of the package are its floors: a module imports only from lower ones."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "edge_course"
FLOORS = (
    {"checker", "data", "environment", "listing", "measure", "plot", "process", "terminal"}
    | {"student_call"},
    {"fashion_mnist"},
    {"networks", "quantization"},
    {"runtimes"},
    {"cost_models", "frameworks", "integer_inference"},
    {"distillation", "pruning", "quantization_aware", "split_channels", "split_layers"},
    {"structured_pruning"},
    {"compression", "nodes"},
    {"recipes"},
    {"exercises", "__init__", "__main__"},
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))


def place(path: Path) -> str:
    """Return the folder of a module, or its name if it lies in the package itself."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Return the folders, and the modules in the package itself, that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "edge_course":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    names = (name.removeprefix("edge_course.").split(".")[0] for name in found)
    return {name for name in names if name in FLOOR}


def test_every_folder_has_a_floor() -> None:
    assert {place(path) for path in MODULES} == set(FLOOR)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_lower_floors(path: Path) -> None:
    here = place(path)
    beside_or_above = {n for n in imported(path) - {here} if FLOOR[n] >= FLOOR[here]}
    ground = FLOORS[0] if here in FLOORS[0] else set()  # its modules lie side by side
    assert not beside_or_above - ground
