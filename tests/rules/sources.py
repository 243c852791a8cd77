"""Reading the product's own sources, as syntax trees."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from crm.config import ROOT

CRM = ROOT / "crm"


def where(file: Path, node: ast.AST) -> str:
    return f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


@cache
def modules() -> dict[Path, ast.Module]:
    """Every module of the product but the demonstration's, which is data."""
    files = sorted(file for file in CRM.rglob("*.py") if "demo" not in file.parts)
    return {file: ast.parse(file.read_text(encoding="utf-8")) for file in files}


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def name_of(call: ast.expr) -> str:
    """What is called: `text` of text(…), `get` of bp.get(…)."""
    if isinstance(call, ast.Call):
        call = call.func
    if isinstance(call, ast.Attribute):
        return call.attr
    return call.id if isinstance(call, ast.Name) else ""


def calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call) and name_of(node) in names)


def imported_from(tree: ast.Module, module: str) -> set[str]:
    """The names a module takes from another one, as it calls them."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == module
        for alias in node.names
    }


def patterns(value: ast.expr, inside: ast.AST) -> list[str]:
    """The texts an expression can be, each unknown part as "*": literals, either side of a choice, a local name."""
    match value:
        case ast.Constant(value=str(said)):
            return [said]
        case ast.IfExp():
            return patterns(value.body, inside) + patterns(value.orelse, inside)
        case ast.JoinedStr():
            return ["".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in value.values)]
        case ast.Name(id=name):
            given = [
                node.value
                for node in ast.walk(inside)
                if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
            ]
            return [pattern for one in given for pattern in patterns(one, inside)] or ["*"]
    return ["*"]
