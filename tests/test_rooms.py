"""Who may import whom: a floor of the house only those below it, a room of the trainer only those farther from `fit`."""

import ast
import pathlib

import pytest

import tfnn

HOUSE = pathlib.Path(tfnn.__file__).parent
FLOORS = (
    {"version", "startup", "internals", "checks", "files", "locks", "random", "controls", "distribute", "means", "taps"}
    | {"data", "initializers", "schedules"},
    {"layers", "optimizers", "callbacks"},
    {"models", "training"},
    {"transfer", "diagnose", "serving"},
    {"cli"},
)
ROOMS = "source", "graph", "resume", "loop"  # of training, from the ground up; what stands beside them is on top


def imports(file):
    """The modules of tfnn that a file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "tfnn":
            yield from (f"tfnn.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def floor_of(part):
    return next((number for number, floor in enumerate(FLOORS) if part in floor), None)


def room_of(parts):
    return ROOMS.index(parts[0]) if parts and parts[0] in ROOMS else len(ROOMS)


def test_every_part_has_a_floor():
    parts = {path.stem for path in HOUSE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert {part for part in parts - {"__init__", "__main__"} if floor_of(part) is None} == set()


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_a_floor_imports_from_itself_and_below(floor):
    for part in FLOORS[floor]:
        for file in (HOUSE / part).rglob("*.py") if (HOUSE / part).is_dir() else [HOUSE / f"{part}.py"]:
            for name in imports(file):
                other = name.split(".")[1] if name.startswith("tfnn.") else None
                if other is not None and floor_of(other) is not None:
                    assert floor_of(other) <= floor, f"{file.relative_to(HOUSE)} imports {name}"


def test_models_and_training_do_not_know_each_other():
    for part, other in ("models", "training"), ("training", "models"):
        for file in (HOUSE / part).rglob("*.py"):
            assert not [name for name in imports(file) if name.startswith(f"tfnn.{other}")], file


def test_no_room_of_the_trainer_calls_one_that_is_nearer_to_fit():
    training = HOUSE / "training"
    for file in training.rglob("*.py"):
        here = room_of(file.relative_to(training).parts[:-1])
        for name in imports(file):
            if name.startswith("tfnn.training."):
                assert room_of(name.split(".")[2:]) <= here, f"{file.relative_to(training)} imports {name}"


def test_the_trainer_knows_no_optimizer_or_callback_by_its_class():
    for file in (HOUSE / "training").rglob("*.py"):
        names = [name for name in imports(file) if name.startswith(("tfnn.optimizers", "tfnn.callbacks"))]
        assert set(names) <= {"tfnn.controls.nested", "tfnn.optimizers.base"}, f"{file.name} imports {names}"
