"""Configured SQL as Spark columns that raise for no value: what cannot be read becomes null.

With ANSI on, which stays on, `'x' / 1000` ends the job at the first bad row, because the cast that Spark
adds throws. So an expression is rewritten before Spark sees it: strings are cast by `try_cast` to the type
that the operator needs, `a + b` becomes `try_add(a, b)`, `cast` becomes `try_cast`, an array's index `get`.

A value cannot be read when Spark would throw at a cast, a parse or an overflow. Then the whole expression is
null, also where an operator hides it: `CASE WHEN click = 1 THEN 1 ELSE 0 END` of an unreadable click is
null, not 0. As in SQL without ANSI, x / 0 and an index outside of an array are null and nothing more:
`coalesce(a / b, 0)` is 0 for b = 0. Rows that Spark can read have the value that Spark computes.

Not covered: a sign, and rounding to tens, of decimals within 5,000 of the largest number of 38 digits, which
Spark rounds up to 39 digits, and throws.
"""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import sqlglot
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from sqlglot import exp

from core.errors import ConfigError
from features.sql_trees import (
    any_of,
    call,
    case,
    cast,
    desugared,
    is_lost,
    is_null,
    minus,
    paren,
    with_operands,
)
from features.sql_types import VALUES, types_of

TRY: dict[type[exp.Expr], str] = {
    exp.Add: "try_add",
    exp.Sub: "try_subtract",
    exp.Mul: "try_multiply",
    exp.Div: "try_divide",
    exp.Mod: "try_mod",
}
MICROS = {"timestamp_millis": 1_000, "timestamp_seconds": 1_000_000}
# Between these, a shift to any time zone cannot overflow (years -290,307 to 294,246).
SHIFTABLE = "timestamp_micros(-9223300000000000000)", "timestamp_micros(9223300000000000000)"


class _Rewritten(NamedTuple):
    """A rewritten expression or subexpression.

    value: never throws. fails: whether something in it could not be read, never null; None: nothing can
    fail. hides: whether `value` may be other than null although `fails` holds.
    """

    value: exp.Expr
    fails: exp.Expr | None = None
    hides: bool = False


def readable(text: str, rows: DataFrame) -> Column:
    """Return the value of an expression; null where one of the values that it needs cannot be read.

    Args:
        text: Spark SQL, checked when the configuration was loaded.
        rows: what it reads; their column types decide which casts it needs.

    Raises:
        ConfigError: the columns' types do not fit the expression, whatever their values.
    """
    tree = sqlglot.parse_one(text, dialect="spark")
    if isinstance(tree, exp.Column):
        return F.expr(text)  # most expressions: nothing to rewrite, no types to ask for
    read = {column.name for column in tree.find_all(exp.Column)}
    known = T.StructType([field for field in rows.schema.fields if field.name in read])
    return F.expr(_rewritten(text, known.json()))


@lru_cache(maxsize=4096)
def _rewritten(text: str, schema: str) -> str:
    """Return the SQL of `readable`; the schema is JSON, to be a key."""
    tree = desugared(sqlglot.parse_one(text, dialect="spark"))
    value, fails, hides = _Rewriter(text, tree, T.StructType.fromJson(json.loads(schema))).rewrite(tree)
    if fails is not None and hides:
        value = case([(fails, exp.Null())], value)
    return value.sql("spark")


class _Rewriter:
    """Rewrites one expression over columns of known types."""

    def __init__(self, text: str, tree: exp.Expr, schema: T.StructType) -> None:
        self.text = text
        self.types = types_of(text, tree, schema)
        self.handlers: dict[type[exp.Expr], Callable[[exp.Expr], _Rewritten]] = {
            **dict.fromkeys(TRY, self._arithmetic),
            **dict.fromkeys((exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE), self._comparison),
            **dict.fromkeys((exp.Cast, exp.TryCast), self._cast),
            **dict.fromkeys((exp.And, exp.Or), self._connective),
            **dict.fromkeys((exp.Floor, exp.Ceil, exp.Round), self._rounding),
            **dict.fromkeys((exp.Greatest, exp.Least), self._hiding),
            exp.NullSafeEQ: self._comparison,
            exp.Not: self._not,
            exp.Is: self._is,
            exp.In: self._in,
            exp.Case: self._case,
            exp.Coalesce: self._coalesce,
            exp.Neg: self._negative,
            exp.Abs: self._absolute,
            exp.Bracket: self._element,
            exp.Substring: self._substring,
            exp.Hour: lambda node: self._strict(node, "timestamp"),
            exp.AtTimeZone: self._shifted,
            exp.StrToTime: self._parsed,
            exp.TsOrDsToDate: self._parsed,
            exp.Anonymous: self._function,
        }

    def rewrite(self, node: exp.Expr) -> _Rewritten:
        """Rewrite a node with all below it."""
        return self.handlers.get(type(node), self._strict)(node)

    def type_of(self, node: exp.Expr) -> T.DataType:
        """Return the type that Spark infers for a node of the expression as it was written."""
        return self.types[node.sql("spark")]

    # --- operators that are null when an operand is null ------------------------------------------

    def _strict(self, node: exp.Expr, wanted: str | None = None) -> _Rewritten:
        """Rewrite the operands; the first is read as the wanted type if it is a string."""
        copied, operands = node.copy(), []
        for name, argument in node.args.items():
            nodes = argument if isinstance(argument, list) else [argument]
            if not nodes or not all(isinstance(each, VALUES) for each in nodes):
                continue
            is_first = name == "this" and wanted is not None
            read = [self._as(o, wanted) if is_first and wanted else self.rewrite(o) for o in nodes]
            values = [operand.value for operand in read]
            copied.set(name, values if isinstance(argument, list) else values[0])
            operands += read
        return _joined(copied, operands, reads_all=isinstance(node, exp.Concat | exp.Greatest | exp.Least))

    def _arithmetic(self, node: exp.Expr) -> _Rewritten:
        left, right = self._alike(node.this, node.expression, is_division=isinstance(node, exp.Div))
        value = call(TRY[type(node)], left.value, right.value)
        if isinstance(self.type_of(node), T.DoubleType | T.FloatType):
            return _joined(value, [left, right])  # doubles do not overflow
        values = [left.value, right.value]
        if isinstance(node, exp.Div | exp.Mod):
            not_zero = exp.NEQ(this=paren(right.value), expression=exp.Literal.number(0))
            return _joined(value, [left, right], exp.and_(is_lost(value, values), not_zero))
        return _joined(value, [left, right], is_lost(value, values))

    def _comparison(self, node: exp.Expr) -> _Rewritten:
        left, right = self._alike(node.this, node.expression)
        value = with_operands(node, this=paren(left.value), expression=paren(right.value))
        if not isinstance(node, exp.NullSafeEQ):
            return _joined(value, [left, right])
        compared = _joined(value, [left, right], reads_all=True)
        return compared._replace(hides=_can_fail(compared))

    def _negative(self, node: exp.Expr) -> _Rewritten:
        if isinstance(node.this, exp.Literal) and not node.this.is_string:
            return _Rewritten(node)
        operand = self._as(node.this, "double")
        if not isinstance(self.type_of(node), T.IntegralType):
            return _joined(exp.Neg(this=paren(operand.value)), [operand])
        value = minus(operand.value)
        return _joined(value, [operand], is_lost(value, [operand.value]))

    def _absolute(self, node: exp.Expr) -> _Rewritten:
        operand = self._as(node.this, "double")
        if not isinstance(self.type_of(node), T.IntegralType):
            return _joined(exp.Abs(this=operand.value), [operand])
        is_negative = exp.LT(this=paren(operand.value), expression=exp.Literal.number(0))
        value = case([(is_negative, minus(operand.value))], operand.value)
        return _joined(value, [operand], is_lost(value, [operand.value]))

    def _rounding(self, node: exp.Expr) -> _Rewritten:
        kind, has_scale = self.type_of(node.this), node.args.get("decimals") is not None
        if isinstance(node, exp.Round) and has_scale and isinstance(kind, T.IntegralType):
            operand = self.rewrite(node.this)
            exact = cast(operand.value, "decimal(20, 0)", is_try=False)
            value = cast(with_operands(node, this=exact), kind.simpleString())
            return _joined(value, [operand], is_lost(value, [operand.value]))
        if has_scale and not isinstance(node, exp.Round) and not isinstance(kind, T.DecimalType):
            operand = self._fallible_cast(self.rewrite(node.this), "decimal(30, 15)")
        else:
            operand = self._as(node.this, "double")
        return _joined(with_operands(node, this=operand.value), [operand])

    def _cast(self, node: exp.Expr) -> _Rewritten:
        target = node.args["to"].sql("spark")
        if isinstance(node.this, exp.Literal) and not node.args.get("safe"):
            self._require_readable(node.this, target)
            return _Rewritten(node)  # a constant, such as date'2022-05-07'
        operand = self.rewrite(node.this)
        if node.args.get("safe"):  # try_cast, as it was written: null is what is wanted then
            return _joined(cast(operand.value, target), [operand])
        return operand if target.lower() == self._name(node.this) else self._fallible_cast(operand, target)

    def _substring(self, node: exp.Expr) -> _Rewritten:
        operands = {"this": self.rewrite(node.this)}
        for name in ("start", "length"):
            if argument := node.args.get(name):
                is_int = self._name(argument) in ("tinyint", "smallint", "int")
                operand = self._as(argument, "int")
                is_read = is_int or self._name(argument) == "string"
                operands[name] = operand if is_read else self._fallible_cast(operand, "int")
        return _joined(
            with_operands(node, **{name: p.value for name, p in operands.items()}), list(operands.values())
        )

    def _shifted(self, node: exp.Expr) -> _Rewritten:
        operand = self.rewrite(node.this)
        low, high = (sqlglot.parse_one(bound, dialect="spark") for bound in SHIFTABLE)
        is_shiftable = exp.and_(
            exp.GTE(this=paren(operand.value), expression=low),
            exp.LTE(this=paren(operand.value), expression=high),
        )
        value = case([(is_shiftable, call("from_utc_timestamp", operand.value, node.args["zone"]))])
        return _joined(value, [operand], is_lost(value, [operand.value]))

    def _parsed(self, node: exp.Expr) -> _Rewritten:
        operand = self.rewrite(node.this)
        if node.args.get("format") is None:
            return operand if self._name(node.this) == "date" else self._fallible_cast(operand, "date")
        pattern = sqlglot.Dialect.get_or_raise("spark").generator().format_time(node)
        value: exp.Expr = call("try_to_timestamp", operand.value, exp.Var(this=pattern))
        if isinstance(node, exp.TsOrDsToDate):
            value = cast(value, "date")
        return _joined(value, [operand], is_lost(value, [operand.value]))

    def _function(self, node: exp.Expr) -> _Rewritten:
        name = node.name.lower()
        if name not in MICROS or isinstance(self.type_of(node.expressions[0]), T.DoubleType | T.FloatType):
            return self._strict(node)
        operand = self.rewrite(node.expressions[0])
        whole = isinstance(self.type_of(node.expressions[0]), T.IntegralType)
        number = cast(operand.value, "bigint", is_try=False) if whole else operand.value
        micros = call("try_multiply", number, exp.Literal.number(MICROS[name]))
        value = call("timestamp_micros", micros if whole else cast(micros, "bigint"))
        return _joined(value, [operand], is_lost(value, [operand.value]))

    def _element(self, node: exp.Expr) -> _Rewritten:
        """An element of an array or a map; null where there is none."""
        holder, (at,) = self.rewrite(node.this), node.expressions
        operand = self.rewrite(at)
        if isinstance(self.type_of(node.this), T.ArrayType):
            index = operand.value if self._name(at) == "int" else cast(operand.value, "int")
            if node.args.get("offset"):  # element_at counts from 1, and has no element 0
                index = exp.Nullif(this=index, expression=exp.Literal.number(0))
                return _joined(call("try_element_at", holder.value, index), [holder, operand])
            return _joined(call("get", holder.value, index), [holder, operand])
        return _joined(call("try_element_at", holder.value, operand.value), [holder, operand])

    # --- operators that can hide a null -----------------------------------------------------------

    def _hiding(self, node: exp.Expr) -> _Rewritten:
        strict = self._strict(node)
        return strict._replace(hides=_can_fail(strict))

    def _not(self, node: exp.Expr) -> _Rewritten:
        operand = self._as(node.this, "boolean")
        return _joined(exp.Not(this=paren(operand.value)), [operand])

    def _is(self, node: exp.Expr) -> _Rewritten:
        operand = (
            self.rewrite(node.this)
            if isinstance(node.expression, exp.Null)
            else self._as(node.this, "boolean")
        )
        return _Rewritten(with_operands(node, this=paren(operand.value)), operand.fails, _can_fail(operand))

    def _connective(self, node: exp.Expr) -> _Rewritten:
        """AND and OR: the right side counts unless the left one decides."""
        left, right = self._as(node.this, "boolean"), self._as(node.expression, "boolean")
        decides = exp.Boolean(this=isinstance(node, exp.Or))
        needed = exp.Not(this=exp.Paren(this=exp.Is(this=paren(left.value), expression=decides)))
        fails = any_of([left.fails, right.fails and exp.and_(needed, right.fails)])
        value = with_operands(node, this=paren(left.value), expression=paren(right.value))
        return _Rewritten(exp.Paren(this=value), fails, fails is not None)

    def _in(self, node: exp.Expr) -> _Rewritten:
        """IN: a member counts when the value is not null and equals none before."""
        members = [node.this, *node.expressions]
        common = self.types[exp.Coalesce(this=node.this, expressions=node.expressions).sql("spark")]
        first, *others = (self._as(member, common.simpleString()) for member in members)
        value = with_operands(
            node, this=paren(first.value), expressions=[operand.value for operand in others]
        )
        fails: exp.Expr | None = None
        for operand in reversed(others):
            is_equal = exp.NullSafeEQ(this=paren(first.value), expression=paren(operand.value))
            fails = any_of([operand.fails, fails and exp.and_(exp.Not(this=exp.Paren(this=is_equal)), fails)])
        listed = _Rewritten(exp.Paren(this=value), fails, fails is not None)
        return _joined(listed.value, [first, listed])

    def _case(self, node: exp.Expr) -> _Rewritten:
        """CASE: a condition counts when none before holds, a result when its condition is the first."""
        kind, default = self._name(node), node.args.get("default")
        arms = [(self._as(arm.this, "boolean"), self._as(arm.args["true"], kind)) for arm in node.args["ifs"]]
        last = None if default is None else self._as(default, kind)
        value = case([(c.value, v.value) for c, v in arms], last and last.value)
        if not any(map(_can_fail, [operand for arm in arms for operand in arm] + ([last] if last else []))):
            return _Rewritten(value)
        ways: list[tuple[exp.Expr, exp.Expr]] = []
        for condition, result in arms:
            if condition.fails is not None:
                ways.append((condition.fails, exp.true()))
            ways.append((condition.value, result.fails or exp.false()))
        return _Rewritten(value, case(ways, (last and last.fails) or exp.false()), hides=True)

    def _coalesce(self, node: exp.Expr) -> _Rewritten:
        """COALESCE: a value counts when all before are null."""
        kind = self._name(node)
        first, *others = (self._as(member, kind) for member in [node.this, *node.expressions])
        value = with_operands(node, this=first.value, expressions=[operand.value for operand in others])
        fails: exp.Expr | None = None
        for operand in reversed([first, *others]):
            fails = any_of([operand.fails, fails and exp.and_(is_null(operand.value), fails)])
        return _Rewritten(value, fails, fails is not None)

    # --- types ------------------------------------------------------------------------------------

    def _name(self, node: exp.Expr) -> str:
        return self.type_of(node).simpleString()

    def _alike(self, left: exp.Expr, right: exp.Expr, is_division: bool = False) -> list[_Rewritten]:
        """Rewrite two operands; a string is read as what Spark would make of it beside the other."""
        operands = []
        for node, other in ((left, right), (right, left)):
            wanted = self.type_of(other)
            if is_division or isinstance(wanted, T.FractionalType):
                operands.append(self._as(node, "double"))
            elif isinstance(wanted, T.IntegralType):
                operands.append(self._as(node, "bigint"))
            else:
                operands.append(self._as(node, wanted.simpleString()))
        return operands

    def _as(self, node: exp.Expr, wanted: str) -> _Rewritten:
        """Rewrite a node; if it is a string and another type is wanted, cast it."""
        operand = self.rewrite(node)
        if not isinstance(self.type_of(node), T.StringType) or wanted in ("string", "void"):
            return operand
        if isinstance(node, exp.Literal):
            self._require_readable(node, wanted)
        return self._fallible_cast(operand, wanted)

    def _require_readable(self, literal: exp.Expr, wanted: str) -> None:
        is_lost = f"TRY_CAST({literal.sql('spark')} AS {wanted}) IS NULL AS is_lost"
        if SparkSession.active().range(1).selectExpr(is_lost).first()["is_lost"]:  # type: ignore[index]
            raise ConfigError(
                f"{self.text!r} reads {literal.sql('spark')} as {wanted}, which it is not; correct it"
            )

    def _fallible_cast(self, operand: _Rewritten, target: str) -> _Rewritten:
        value = cast(operand.value, target)
        if target.lower() == "string":
            return _joined(value, [operand])
        return _joined(value, [operand], is_lost(value, [operand.value]))


def _joined(
    value: exp.Expr, operands: Sequence[_Rewritten], own: exp.Expr | None = None, reads_all: bool = False
) -> _Rewritten:
    """Return an expression that is null when an operand is; like Spark it reads none after a null one."""
    fails: exp.Expr | None = None
    for operand in reversed(operands):
        if fails is not None and not reads_all and not isinstance(operand.value, exp.Literal):
            fails = exp.and_(exp.Not(this=is_null(operand.value)), fails)
        fails = any_of([operand.fails, fails])
    return _Rewritten(value, any_of([fails, own]), any(operand.hides for operand in operands))


def _can_fail(operand: _Rewritten) -> bool:
    return operand.fails is not None
