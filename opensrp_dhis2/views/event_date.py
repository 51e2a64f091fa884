"""Which columns of staging an indicator's `event_on` comes from, found by reading its SQL.

It follows names from step to step; it refuses to know rows, and gives nothing where a date is reckoned from no column.
"""

from collections.abc import Iterator
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import Scope, build_scope

from opensrp_dhis2.views.catalog import Catalog, View

Origin = tuple[str, tuple[str, ...]]  # a staging table; its columns, of which the first that is not null counts
_VALUES = {exp.Case: ("ifs", "default"), exp.If: ("true", "false"), exp.Filter: ("this",), exp.Window: ("this",)}


def event_origins(catalog: Catalog, view: View) -> set[Origin]:
    """Return where an indicator's dates come from; none for one that counts a state at the end of a period."""
    return _output(catalog, view.sql, "event_on")


def _output(catalog: Catalog, sql: str, name: str) -> set[Origin]:
    scope = _scope(sql)
    return _of_output(catalog, scope, name, frozenset()) if scope else set()


@lru_cache(maxsize=256)
def _scope(sql: str) -> Scope | None:
    return build_scope(sqlglot.parse_one(sql, read="postgres"))


def _of_output(catalog: Catalog, scope: Scope, name: str, seen: frozenset[tuple[int, str]]) -> set[Origin]:
    """Follow one column that a step gives; a recursive step is followed once."""
    if (id(scope), name) in seen:
        return set()
    seen |= {(id(scope), name)}
    if scope.set_operation_scopes:
        return set().union(*(_of_output(catalog, each, name, seen) for each in scope.set_operation_scopes))
    found = set[Origin]()
    steps = scope.expression.selects if isinstance(scope.expression, exp.Query) else []
    for projection in steps:
        if projection.is_star:
            star = exp.column(name, projection.table if isinstance(projection, exp.Column) else None)
            found |= _of_value(catalog, scope, star, seen)
        elif projection.alias_or_name == name:
            return _of_value(catalog, scope, projection.unalias(), seen)
    return found


def _of_value(catalog: Catalog, scope: Scope, value: exp.Expr, seen: frozenset[tuple[int, str]]) -> set[Origin]:
    """Follow what an expression takes its value from: the branches of a case, never its conditions."""
    if isinstance(value, exp.Column):
        return _of_column(catalog, scope, value, seen)
    if isinstance(value, exp.Query | exp.Subquery):
        return set()
    parts = [_of_value(catalog, scope, each, seen) for each in _values(value)]
    tables = {table for part in parts for table, _ in part}
    if isinstance(value, exp.Coalesce) and len(tables) == 1 and all(len(part) == 1 for part in parts):
        return {(tables.pop(), tuple(column for part in parts for _, columns in part for column in columns))}
    return set().union(*parts)


def _values(value: exp.Expr) -> Iterator[exp.Expr]:
    names = _VALUES.get(type(value))
    for name, argument in value.args.items():
        if names is None or name in names:
            for each in argument if isinstance(argument, list) else [argument]:
                if isinstance(each, exp.Expr):
                    yield each


def _of_column(catalog: Catalog, scope: Scope, column: exp.Column, seen: frozenset[tuple[int, str]]) -> set[Origin]:
    sources = [scope.sources.get(column.table)] if column.table else [it for _, it in scope.selected_sources.values()]
    found = set[Origin]()
    for source in sources:
        if isinstance(source, Scope):
            found |= _of_output(catalog, source, column.name, seen)
        elif isinstance(source, exp.Table):
            found |= _of_table(catalog, f"{source.db}.{source.name}", column.name)
    return found


def _of_table(catalog: Catalog, table: str, column: str) -> set[Origin]:
    schema, _, stem = table.partition(".")
    view = catalog.by_name.get(f"indicator.{stem}" if schema == "member" else table)
    if view is None or (view.columns is not None and column not in view.columns):
        return set()
    return _output(catalog, view.sql, column) if schema == "member" else {(table, (column,))}
