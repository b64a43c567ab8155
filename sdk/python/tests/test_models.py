"""Answers as types, and that those are the API's."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from pyro_mcp import models
from pyro_mcp._api.errors import InternalError
from pyro_mcp._models.base import Model

API = Path(__file__).parents[3] / "api"

# Names that differ, because handles have those of the API.
OURS = {
    "CommandResult": "WorkspaceExec",
    "RunResult": "VMExec",
    "Cleanup": "VMDelete",
    "Deleted": "WorkspaceDelete",
    "Diff": "WorkspaceDiff",
    "Forked": "Fork",
    "Logs": "WorkspaceLogs",
    "PatchResult": "Patch",
    "Push": "Sync",
    "PushCounts": "SyncCounts",
    "ServiceInfo": "Service",
    "ShellInfo": "Shell",
    "WorkspaceInfo": "Workspace",
    "WorkspaceLine": "WorkspaceSummary",
}
MODELS = [getattr(models, name) for name in models.__all__ if not name.endswith("Error")]


def structs() -> dict[str, dict[str, str]]:
    """The fields of the API's structs: their JSON names and Go types."""
    bodies: dict[str, str] = {}
    for path in API.glob("*.go"):
        text = path.read_text()
        bodies.update(re.findall(r"^type (\w+) struct \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL))

    def fields(name: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in bodies[name].splitlines():
            if embedded := re.fullmatch(r"\t(\w+)", line):
                found.update(fields(embedded[1]))
            if field := re.match(r'\t\w+\s+(\S+)\s+`json:"(\w+)', line):
                found[field[2]] = field[1]
        return found

    return {name: fields(name) for name in bodies}


def python_type(go: str) -> str:
    if go.startswith("*"):
        return f"{python_type(go[1:])} | None"
    if go.startswith("[]"):
        return f"tuple[{python_type(go[2:])}, ...]"
    if go.startswith("map[string]"):
        return f"dict[str, {python_type(go[11:])}]"
    simple = {"string": "str", "int": "int", "int64": "int", "bool": "bool", "Timestamp": "float"}
    named = {go_name: ours for ours, go_name in OURS.items()}
    return simple.get(go) or named.get(go) or (go if hasattr(models, go) else "str")


def shown(kind: Any) -> str:
    text = kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)
    return re.sub(r"pyro_mcp\._models\.\w+\.", "", text)


@pytest.mark.skipif(not API.is_dir(), reason="the API's source is not here")
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_fields_are_those_of_the_api(model: Any) -> None:
    go = structs()[OURS.get(model.__name__, model.__name__)]
    assert {f.name: shown(f.type) for f in dataclasses.fields(model)} == {
        name: python_type(kind) for name, kind in go.items()
    }


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_models_are_made_of_what_there_is(model: Any) -> None:
    empty = model.of({"of_tomorrow": 1})
    assert empty == model.of({field.name: None for field in dataclasses.fields(model)})
    with pytest.raises(dataclasses.FrozenInstanceError):
        empty.anything = 1


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {"stdout": 1},
        {"exit_code": "1"},
        {"exit_code": 1.5},
        {"exit_code": True},
        {"stdout_truncated": 1},
    ],
)
def test_answers_of_other_types_are_refused(answer: Any) -> None:
    with pytest.raises(InternalError, match="CommandResult"):
        models.CommandResult.of(answer)


@pytest.mark.parametrize(
    "answer", [{"labels": []}, {"labels": {"a": 1}}, {"secrets": {}}, {"secrets": [1]}, {"created_at": "x"}]
)
def test_nested_answers_of_other_types_are_refused(answer: Any) -> None:
    with pytest.raises(InternalError):
        models.WorkspaceInfo.of(answer)


def test_all_models_have_public_names() -> None:
    def below(kind: type) -> set[str]:
        return {kind.__name__}.union(*map(below, kind.__subclasses__()))

    assert {name for name in below(Model) if not name.startswith("_")} - {"Model"} == {
        m.__name__ for m in MODELS
    }


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"exit_code": 3, "command": "make", "stderr": "no rule\n"}, "command 'make' ended with 3: no rule"),
        ({"exit_code": 124, "command": "x", "reason": "timeout"}, "command 'x' ran out of time"),
        ({"exit_code": 0, "command": "x", "reason": "oom"}, "command 'x' ran out of memory"),
    ],
)
def test_check_raises_what_went_wrong(answer: dict[str, Any], text: str) -> None:
    with pytest.raises(models.CommandError) as failed:
        models.CommandResult.of(answer).check()
    assert str(failed.value) == text
    assert failed.value.result.exit_code == answer["exit_code"]


def test_check_of_a_success_is_the_result() -> None:
    result = models.CommandResult.of({"exit_code": 0})
    assert result.check() is result
