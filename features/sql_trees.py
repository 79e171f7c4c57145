"""Pieces of SQL trees (sqlglot, Spark dialect), each made of copies, so that a tree can be used twice."""

from collections.abc import Iterable

from sqlglot import exp


def desugared(tree: exp.Expr) -> exp.Expr:
    """Return a tree whose BETWEEN, IF, NULLIF and CASE of a value are comparisons and CASE WHEN."""
    for node in reversed(list(tree.walk(bfs=True))):  # operands before operators
        plain = _desugared(node)
        if node is tree:
            return plain
        if plain is not node:
            node.replace(plain)
    return tree


def _desugared(node: exp.Expr) -> exp.Expr:
    match node:
        case exp.Between():
            low = exp.GTE(this=node.this.copy(), expression=node.args["low"])
            return exp.Paren(this=exp.and_(low, exp.LTE(this=node.this, expression=node.args["high"])))
        case exp.Nullif():
            is_equal = exp.EQ(this=node.this.copy(), expression=node.expression)
            return case([(is_equal, exp.Null())], node.this)
        case exp.If() if not isinstance(node.parent, exp.Case):
            return case([(node.this, node.args["true"])], node.args.get("false"))
        case exp.Case() if node.this is not None:
            arms = [
                (exp.EQ(this=paren(node.this), expression=arm.this), arm.args["true"])
                for arm in node.args["ifs"]
            ]
            return case(arms, node.args.get("default"))
        case _:
            return node


def any_of(conditions: Iterable[exp.Expr | None]) -> exp.Expr | None:
    """Return whether one of the known conditions holds; None where none is known."""
    known = [condition for condition in conditions if condition is not None]
    return exp.or_(*known) if known else None


def is_null(value: exp.Expr) -> exp.Expr:
    """Return `value IS NULL`."""
    return exp.Is(this=paren(value), expression=exp.Null())


def is_lost(value: exp.Expr, operands: Iterable[exp.Expr]) -> exp.Expr:
    """Return whether a value is null although no operand is."""
    known = [exp.Not(this=is_null(operand)) for operand in operands]
    return exp.and_(*known, is_null(value))


def paren(value: exp.Expr) -> exp.Expr:
    """Return a value as an operand: in parentheses, unless it needs none."""
    is_simple = isinstance(value, exp.Column | exp.Literal | exp.Paren | exp.Func)
    return (
        value.copy() if is_simple and not isinstance(value, exp.Connector) else exp.Paren(this=value.copy())
    )


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """Return a call of a function by its Spark name."""
    return exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])


def minus(value: exp.Expr) -> exp.Expr:
    """Return 0 - value as the type that value has."""
    return call("try_subtract", cast(exp.Literal.number(0), "tinyint", is_try=False), value)


def cast(value: exp.Expr, target: str, is_try: bool = True) -> exp.Expr:
    """Return a value as another Spark type: null, or with `is_try=False` an error, where it is none."""
    kind = exp.DataType.build(target, dialect="spark")
    return (
        exp.TryCast(this=value.copy(), to=kind, safe=True) if is_try else exp.Cast(this=value.copy(), to=kind)
    )


def case(arms: Iterable[tuple[exp.Expr, exp.Expr]], default: exp.Expr | None = None) -> exp.Expr:
    """Return CASE WHEN ... END."""
    ifs = [exp.If(this=condition.copy(), true=result.copy()) for condition, result in arms]
    return exp.Case(ifs=ifs, default=default.copy() if default is not None else None)


def with_operands(node: exp.Expr, **arguments: object) -> exp.Expr:
    """Return a copy with other operands."""
    copied = node.copy()
    for name, argument in arguments.items():
        copied.set(name, argument)
    return copied
