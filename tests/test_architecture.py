"""How the package is built: its floors, its names, what importing it loads, what it says."""

import ast
import graphlib
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "edge_course"
FLOORS = (
    {"terminal", "listing", "plot", "process", "stripes", "student_call"},
    {"checker", "data"},
    {"crossing", "environment", "fashion_mnist", "measure", "novel"},
    {"networks", "quantization"},
    {"runtimes"},
    {"cost_models", "frameworks", "integer_inference"},
    {
        "distillation", "language", "microcontroller", "pruning", "quantization_aware",
        "split_channels", "split_layers",
    },
    {"structured_pruning"},
    {"compression", "nodes", "service"},
    {"federated", "fusion"},
    {"recipes", "report"},
    {"exercises", "contributing", "__init__", "__main__"},
)  # fmt: skip
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}

FRAMEWORKS = {"ai_edge_litert", "keras", "onnx", "onnxruntime", "tensorflow", "torch"}
# The modules that load a framework when they are imported; all others load none.
LOADS = {
    "torch": {
        "compression.compress", "distillation.lessons", "distillation.losses",
        "federated.local", "federated.rounds", "language.torch_lstm",
        "networks.students", "networks.torch_graph", "networks.torch_models",
        "networks.torch_training", "pruning.calls", "pruning.importance", "pruning.prune",
        "quantization_aware.bias_correction", "quantization_aware.fake_quantize",
        "quantization_aware.network",
        "quantization_aware.operations", "quantization_aware.sensitivity",
        "quantization_aware.trace", "quantization_aware.windows", "recipes.compressed",
        "split_layers.bottleneck", "structured_pruning.choice", "structured_pruning.cut",
        "structured_pruning.groups", "structured_pruning.sizes", "structured_pruning.trace",
    },
    "onnx": {
        "frameworks.onnx_arithmetic", "frameworks.onnx_node", "frameworks.onnx_shapes",
        "frameworks.onnx_to_keras", "frameworks.onnx_translations", "frameworks.onnx_windows",
    },
}  # fmt: skip

# Public names that stand in several modules, and why they may.
SHARED_NAMES = {
    "BATCH": "pictures in a training step, in Keras and in PyTorch",
    "EXERCISES": "each notebook's exercises, and all of them",
    "Runner": "a model that takes and returns real numbers, in LiteRT and in ONNX Runtime",
    "fake_quantize": "the same function in NumPy and, with a gradient, in PyTorch",
    "main": "what a module does when it is started as a command",
    "seed_cnn": "the same network in Keras and in PyTorch",
    "soft_loss": "the same loss in NumPy and, with a gradient, in PyTorch",
    "trained_seed_cnn": "the same trained network in Keras and in PyTorch",
}


def dotted(path: Path) -> str:
    """Return a module's name inside the package: ``nodes.wire``; a folder's is its own name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES = {dotted(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def imported(nodes: list[ast.stmt] | Iterator[ast.AST]) -> set[str]:
    """Return the dotted names that these import statements import; ``a.b.c`` of ``a.b`` too."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def modules_of(names: set[str]) -> set[str]:
    """Return the modules of the package that these names are, or lie in."""
    inside = {n.removeprefix("edge_course.") for n in names if n.startswith("edge_course.")}
    return {n if n in MODULES else n.rpartition(".")[0] for n in inside}


# Imports inside functions, and those for type checkers only, count as well.
IMPORTS = {name: modules_of(imported(ast.walk(tree))) - {name} for name, tree in TREES.items()}


def test_every_folder_has_a_floor() -> None:
    assert {name.split(".")[0] for name in MODULES} == set(FLOOR)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_from_lower_floors(name: str) -> None:
    here = name.split(".")[0]
    others = {module.split(".")[0] for module in IMPORTS[name]} - {here}
    assert not {other for other in others if FLOOR[other] >= FLOOR[here]}


def test_no_modules_import_each_other_in_a_circle() -> None:
    graphlib.TopologicalSorter(IMPORTS).prepare()  # a CycleError lists the circle


def public_names(tree: ast.Module) -> Iterator[str]:
    """Yield the public names that a module defines; what it imports is not its own."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
        else:
            continue
        yield from (name for name in names if not name.startswith("_"))


def test_one_name_means_one_thing() -> None:
    modules = defaultdict(set)
    for module, tree in TREES.items():
        for name in public_names(tree):
            modules[name].add(module)
    shared = {name: where for name, where in modules.items() if len(where) > 1}
    assert not {name: where for name, where in shared.items() if name not in SHARED_NAMES}
    assert not SHARED_NAMES.keys() - shared.keys(), "they are unique now: take them out of the list"


# --- What importing loads


def loaded(module: str) -> set[str]:
    """Return the frameworks that importing a module loads, as its text and that of others say."""
    names = imported(TREES[module].body)
    frameworks = {name.split(".")[0] for name in names} & FRAMEWORKS
    return frameworks.union(*map(loaded, modules_of(names) - {module}))


def test_frameworks_are_loaded_where_it_is_said() -> None:
    for framework in FRAMEWORKS:
        assert {m for m in MODULES if framework in loaded(m)} == LOADS.get(framework, set())


def test_importing_the_package_loads_nothing_but_the_standard_library() -> None:
    names = imported(ast.walk(TREES["__init__"]))
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


IMPORT = """
import importlib, sys
for module in sys.argv[2:]:
    importlib.import_module(module)
    if loaded := set(sys.argv[1].split()) & {*sys.modules}:
        sys.exit(f"{module} loads {loaded}")
"""


def test_all_other_modules_load_no_framework() -> None:
    """What is really imported: other libraries could load a framework too."""
    others = MODULES.keys() - set().union(*LOADS.values()) - {"__init__", "__main__"}
    names = [f"edge_course.{module}" for module in sorted(others)]
    child = subprocess.run(
        [sys.executable, "-c", IMPORT, " ".join(FRAMEWORKS), "edge_course", *names],
        capture_output=True, text=True,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr


# --- What docstrings say

TAUGHT_IN = re.compile(r"Taught in: (.+)")


def taught() -> Iterator[tuple[str, str, str]]:
    """Yield (module, name, what stands behind "Taught in") of everything that says so."""
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = TAUGHT_IN.search(ast.get_docstring(node) or "")
                if text:
                    yield module, getattr(node, "name", module.split(".")[-1]), text[1]


@pytest.fixture(scope="module")
def notebooks() -> dict[str, str]:
    """File name → its code, and what its texts set as code."""
    return {
        f"notebooks/{path.name}": "\n".join(
            cell.source if cell.cell_type == "code" else " ".join(re.findall("`.+?`", cell.source))
            for cell in nbformat.read(path, as_version=4).cells
        )
        for path in (ROOT / "notebooks").glob("*.ipynb")
    }


def test_what_is_taught_in_a_notebook_stands_there(notebooks: dict[str, str]) -> None:
    missing = [
        f"{module}.{name}: {where}"
        for module, name, text in taught()
        for where in re.split(", | and ", text)
        if not re.search(rf"\b{name}\b", notebooks.get(where, ""))
    ]
    assert not missing, "\n".join(missing)
