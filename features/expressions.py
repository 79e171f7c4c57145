"""Configured SQL as Spark columns that no value can stop: what cannot be read becomes null.

With ANSI on, which stays on, `'x' / 1000` ends the job at the first bad row, because the cast that Spark
adds throws. So an expression is rewritten before Spark sees it: strings are cast by `try_cast` to the type
that the operator needs, `a + b` becomes `try_add(a, b)`, `cast` becomes `try_cast`, an array's index `get`.

A value cannot be read when Spark would throw at a cast, a parse or an overflow. Then the whole expression is
null, also where an operator hides it: `CASE WHEN click = 1 THEN 1 ELSE 0 END` of an unreadable click is
null, not 0. As in SQL without ANSI, x / 0 and an index outside of an array are null and nothing more:
`coalesce(a / b, 0)` is 0 for b = 0. Rows that Spark can read have the value that Spark gives them.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple, cast

import sqlglot
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from sqlglot import exp

from core.errors import ConfigError

TRY: dict[type[exp.Expression], str] = {
    exp.Add: "try_add",
    exp.Sub: "try_subtract",
    exp.Mul: "try_multiply",
    exp.Div: "try_divide",
    exp.Mod: "try_mod",
}
MICROS = {"timestamp_millis": 1_000, "timestamp_seconds": 1_000_000}
# Any shift between time zones stays inside of what a timestamp can hold.
SHIFTABLE = "timestamp_micros(-9223300000000000000)", "timestamp_micros(9223300000000000000)"


class _Part(NamedTuple):
    """A rewritten subexpression.

    value: never throws. fails: whether something in it could not be read, never null; None: nothing can
    fail. hides: whether `value` may be other than null although `fails` holds.
    """

    value: exp.Expression
    fails: exp.Expression | None = None
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
    read = {column.name for column in tree.find_all(exp.Column)}
    known = T.StructType([field for field in rows.schema.fields if field.name in read])
    return F.expr(_rewritten(text, known.json()))


@lru_cache(maxsize=4096)
def _rewritten(text: str, schema: str) -> str:
    """Return the SQL of `readable`; the schema is JSON, to be a key."""
    tree = sqlglot.parse_one(text, dialect="spark").transform(_desugared)
    value, fails, hides = _Rewriter(text, tree, T.StructType.fromJson(json.loads(schema))).part(tree)
    if fails is not None and hides:
        value = _case([(fails, exp.Null())], value)
    return value.sql("spark")


def _desugared(node: exp.Expression) -> exp.Expression:
    """Write BETWEEN, IF, NULLIF and CASE of a value by means of comparisons and CASE."""
    match node:
        case exp.Between():
            low = exp.GTE(this=node.this.copy(), expression=node.args["low"])
            return exp.Paren(this=exp.and_(low, exp.LTE(this=node.this, expression=node.args["high"])))
        case exp.Nullif():
            is_equal = exp.EQ(this=node.this.copy(), expression=node.expression)
            return _case([(is_equal, exp.Null())], node.this)
        case exp.If() if not isinstance(node.parent, exp.Case):
            return _case([(node.this, node.args["true"])], node.args.get("false"))
        case exp.Case() if node.this is not None:
            arms = [
                (exp.EQ(this=_paren(node.this), expression=arm.this), arm.args["true"])
                for arm in node.args["ifs"]
            ]
            return _case(arms, node.args.get("default"))
        case _:
            return node


class _Rewriter:
    """Rewrites one expression over columns of known types."""

    def __init__(self, text: str, tree: exp.Expression, schema: T.StructType) -> None:
        self.text = text
        self.types = _types(text, tree, schema)
        self.handlers: dict[type[exp.Expression], Callable[[exp.Expression], _Part]] = {
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

    def part(self, node: exp.Expression) -> _Part:
        """Rewrite a node with all below it."""
        return self.handlers.get(type(node), self._strict)(node)

    def type_of(self, node: exp.Expression) -> T.DataType:
        """Return the type that Spark gives a node of the expression as it was written."""
        return self.types[node.sql("spark")]

    # --- operators that are null when an operand is null ------------------------------------------

    def _strict(self, node: exp.Expression, wanted: str | None = None) -> _Part:
        """Rewrite the operands; the first is read as the wanted type if it is a string."""
        copied, parts = node.copy(), []
        for name, argument in node.args.items():
            operands = argument if isinstance(argument, list) else [argument]
            if not operands or not all(isinstance(operand, exp.Condition) for operand in operands):
                continue
            is_first = name == "this" and wanted is not None
            read = [self._as(o, wanted) if is_first and wanted else self.part(o) for o in operands]
            values = [part.value for part in read]
            copied.set(name, values if isinstance(argument, list) else values[0])
            parts += read
        return _joined(copied, parts)

    def _arithmetic(self, node: exp.Expression) -> _Part:
        left, right = self._alike(node.this, node.expression, is_division=isinstance(node, exp.Div))
        value = _call(TRY[type(node)], left.value, right.value)
        if isinstance(self.type_of(node), T.DoubleType | T.FloatType):
            return _joined(value, [left, right])  # doubles do not overflow
        operands = [left.value, right.value]
        if isinstance(node, exp.Div | exp.Mod):
            not_zero = exp.NEQ(this=_paren(right.value), expression=exp.Literal.number(0))
            return _joined(value, [left, right], exp.and_(_is_lost(value, operands), not_zero))
        return _joined(value, [left, right], _is_lost(value, operands))

    def _comparison(self, node: exp.Expression) -> _Part:
        left, right = self._alike(node.this, node.expression)
        joined = _joined(_with(node, this=_paren(left.value), expression=_paren(right.value)), [left, right])
        return joined._replace(hides=joined.hides or _can_fail(joined)) if _skips_null(node) else joined

    def _negative(self, node: exp.Expression) -> _Part:
        if isinstance(node.this, exp.Literal):
            return _Part(node)
        part = self._as(node.this, "double")
        if not isinstance(self.type_of(node), T.IntegralType):
            return _joined(exp.Neg(this=_paren(part.value)), [part])
        value = _minus(part.value)
        return _joined(value, [part], _is_lost(value, [part.value]))

    def _absolute(self, node: exp.Expression) -> _Part:
        part = self._as(node.this, "double")
        if not isinstance(self.type_of(node), T.IntegralType):
            return _joined(exp.Abs(this=part.value), [part])
        is_negative = exp.LT(this=_paren(part.value), expression=exp.Literal.number(0))
        value = _case([(is_negative, _minus(part.value))], part.value)
        return _joined(value, [part], _is_lost(value, [part.value]))

    def _rounding(self, node: exp.Expression) -> _Part:
        kind, has_scale = self.type_of(node.this), node.args.get("decimals") is not None
        if isinstance(node, exp.Round) and has_scale and isinstance(kind, T.IntegralType):
            part = self.part(node.this)
            exact = _cast(part.value, "decimal(20, 0)", is_try=False)
            value = _cast(_with(node, this=exact), kind.simpleString())
            return _joined(value, [part], _is_lost(value, [part.value]))
        if has_scale and not isinstance(node, exp.Round) and not isinstance(kind, T.DecimalType):
            part = self._fallible_cast(self.part(node.this), "decimal(30, 15)")
        else:
            part = self._as(node.this, "double")
        return _joined(_with(node, this=part.value), [part])

    def _cast(self, node: exp.Expression) -> _Part:
        if isinstance(node.this, exp.Literal):
            return _Part(node)  # a constant, such as date'2022-05-07'
        part, target = self.part(node.this), node.args["to"].sql("spark")
        if node.args.get("safe"):  # try_cast, as it was written: null is what is wanted then
            return _joined(_cast(part.value, target), [part])
        return part if target.lower() == self._name(node.this) else self._fallible_cast(part, target)

    def _substring(self, node: exp.Expression) -> _Part:
        parts = {"this": self.part(node.this)}
        for name in ("start", "length"):
            if argument := node.args.get(name):
                is_int = self._name(argument) in ("tinyint", "smallint", "int")
                part = self.part(argument)
                parts[name] = part if is_int else self._fallible_cast(part, "int")
        return _joined(_with(node, **{name: p.value for name, p in parts.items()}), list(parts.values()))

    def _shifted(self, node: exp.Expression) -> _Part:
        part = self.part(node.this)
        low, high = (sqlglot.parse_one(bound, dialect="spark") for bound in SHIFTABLE)
        is_shiftable = exp.and_(
            exp.GTE(this=_paren(part.value), expression=low),
            exp.LTE(this=_paren(part.value), expression=high),
        )
        value = _case([(is_shiftable, _call("from_utc_timestamp", part.value, node.args["zone"]))])
        return _joined(value, [part], _is_lost(value, [part.value]))

    def _parsed(self, node: exp.Expression) -> _Part:
        part = self.part(node.this)
        if node.args.get("format") is None:
            return part if self._name(node.this) == "date" else self._fallible_cast(part, "date")
        pattern = sqlglot.Dialect.get_or_raise("spark").generator().format_time(node)
        value: exp.Expression = _call("try_to_timestamp", part.value, exp.Var(this=pattern))
        if isinstance(node, exp.TsOrDsToDate):
            value = _cast(value, "date")
        return _joined(value, [part], _is_lost(value, [part.value]))

    def _function(self, node: exp.Expression) -> _Part:
        name = node.name.lower()
        if name not in MICROS or isinstance(self.type_of(node.expressions[0]), T.DoubleType | T.FloatType):
            return self._strict(node)
        part = self.part(node.expressions[0])
        whole = isinstance(self.type_of(node.expressions[0]), T.IntegralType)
        number = _cast(part.value, "bigint", is_try=False) if whole else part.value
        micros = _call("try_multiply", number, exp.Literal.number(MICROS[name]))
        value = _call("timestamp_micros", micros if whole else _cast(micros, "bigint"))
        return _joined(value, [part], _is_lost(value, [part.value]))

    def _element(self, node: exp.Expression) -> _Part:
        """An element of an array or a map; null where there is none."""
        holder, (at,) = self.part(node.this), node.expressions
        part = self.part(at)
        if isinstance(self.type_of(node.this), T.ArrayType):
            index = part.value if self._name(at) == "int" else _cast(part.value, "int")
            if node.args.get("offset"):  # element_at counts from 1, and has no element 0
                index = exp.Nullif(this=index, expression=exp.Literal.number(0))
                return _joined(_call("try_element_at", holder.value, index), [holder, part])
            return _joined(_call("get", holder.value, index), [holder, part])
        return _joined(_call("try_element_at", holder.value, part.value), [holder, part])

    # --- operators that can hide a null -----------------------------------------------------------

    def _hiding(self, node: exp.Expression) -> _Part:
        part = self._strict(node)
        return part._replace(hides=_can_fail(part))

    def _not(self, node: exp.Expression) -> _Part:
        part = self._as(node.this, "boolean")
        return _joined(exp.Not(this=_paren(part.value)), [part])

    def _is(self, node: exp.Expression) -> _Part:
        part = (
            self.part(node.this) if isinstance(node.expression, exp.Null) else self._as(node.this, "boolean")
        )
        return _Part(_with(node, this=_paren(part.value)), part.fails, _can_fail(part))

    def _connective(self, node: exp.Expression) -> _Part:
        """AND and OR: the right side counts unless the left one decides."""
        left, right = self._as(node.this, "boolean"), self._as(node.expression, "boolean")
        decides = exp.Boolean(this=isinstance(node, exp.Or))
        needed = exp.Not(this=exp.Paren(this=exp.Is(this=_paren(left.value), expression=decides)))
        fails = _any([left.fails, right.fails and exp.and_(needed, right.fails)])
        value = _with(node, this=_paren(left.value), expression=_paren(right.value))
        return _Part(exp.Paren(this=value), fails, fails is not None)

    def _in(self, node: exp.Expression) -> _Part:
        members = [node.this, *node.expressions]
        common = self.types[exp.Coalesce(this=node.this, expressions=node.expressions).sql("spark")]
        first, *others = (self._as(member, common.simpleString()) for member in members)
        value = _with(node, this=_paren(first.value), expressions=[part.value for part in others])
        part = _joined(exp.Paren(this=value), [first, *others])
        return part._replace(hides=part.hides or any(map(_can_fail, others)))

    def _case(self, node: exp.Expression) -> _Part:
        """CASE: a condition counts when none before holds, a result when its condition is the first."""
        kind, default = self._name(node), node.args.get("default")
        arms = [(self._as(arm.this, "boolean"), self._as(arm.args["true"], kind)) for arm in node.args["ifs"]]
        last = None if default is None else self._as(default, kind)
        value = _case([(c.value, v.value) for c, v in arms], last and last.value)
        if not any(map(_can_fail, [part for arm in arms for part in arm] + ([last] if last else []))):
            return _Part(value)
        ways: list[tuple[exp.Expression, exp.Expression]] = []
        for condition, result in arms:
            if condition.fails is not None:
                ways.append((condition.fails, exp.true()))
            ways.append((condition.value, result.fails or exp.false()))
        return _Part(value, _case(ways, (last and last.fails) or exp.false()), hides=True)

    def _coalesce(self, node: exp.Expression) -> _Part:
        """COALESCE: a value counts when all before are null."""
        kind = self._name(node)
        first, *others = (self._as(member, kind) for member in [node.this, *node.expressions])
        value = _with(node, this=first.value, expressions=[part.value for part in others])
        fails: exp.Expression | None = None
        for part in reversed([first, *others]):
            fails = _any([part.fails, fails and exp.and_(_is_null(part.value), fails)])
        return _Part(value, fails, fails is not None)

    # --- types ------------------------------------------------------------------------------------

    def _name(self, node: exp.Expression) -> str:
        return self.type_of(node).simpleString()

    def _alike(self, left: exp.Expression, right: exp.Expression, is_division: bool = False) -> list[_Part]:
        """Rewrite two operands; a string is read as what Spark would make of it beside the other."""
        parts = []
        for node, other in ((left, right), (right, left)):
            wanted = self.type_of(other)
            if is_division or isinstance(wanted, T.FractionalType):
                parts.append(self._as(node, "double"))
            elif isinstance(wanted, T.IntegralType):
                parts.append(self._as(node, "bigint"))
            else:
                parts.append(self._as(node, wanted.simpleString()))
        return parts

    def _as(self, node: exp.Expression, wanted: str) -> _Part:
        """Rewrite a node; if it is a string and another type is wanted, cast it."""
        part = self.part(node)
        if not isinstance(self.type_of(node), T.StringType) or wanted in ("string", "void"):
            return part
        if isinstance(node, exp.Literal):
            self._require_readable(node, wanted)
        return self._fallible_cast(part, wanted)

    def _require_readable(self, literal: exp.Expression, wanted: str) -> None:
        is_lost = f"TRY_CAST({literal.sql('spark')} AS {wanted}) IS NULL AS is_lost"
        if SparkSession.active().range(1).selectExpr(is_lost).first()["is_lost"]:  # type: ignore[index]
            raise ConfigError(
                f"{self.text!r} compares {literal.sql('spark')} with a {wanted}, which it is not; correct it"
            )

    def _fallible_cast(self, part: _Part, target: str) -> _Part:
        value = _cast(part.value, target)
        if target.lower() == "string":
            return _joined(value, [part])
        return _joined(value, [part], _is_lost(value, [part.value]))


def _types(text: str, tree: exp.Expression, schema: T.StructType) -> dict[str, T.DataType]:
    """Return the SQL of each subexpression -> the type that Spark gives it."""
    nodes = [
        node
        for node in tree.walk()
        if isinstance(node, exp.Condition)
        and not isinstance(node.parent, exp.DataTypeParam)
        and not (isinstance(node, exp.If) and isinstance(node.parent, exp.Case))
    ]
    nodes += [exp.Coalesce(this=n.this, expressions=n.expressions) for n in tree.find_all(exp.In)]
    texts = sorted({node.sql("spark") for node in nodes})
    columns = [F.lit(None).cast(field.dataType).alias(field.name) for field in schema.fields]
    try:
        fields = SparkSession.active().range(0).select(*columns).select(*map(F.expr, texts)).schema.fields
    except AnalysisException as error:
        reason = str(error).splitlines()[0].split(" SQLSTATE")[0]
        raise ConfigError(
            f"{text!r} does not fit the types of its columns, {schema.simpleString()}: {reason}"
        ) from error
    return dict(zip(texts, (field.dataType for field in fields), strict=True))


# --- SQL trees ------------------------------------------------------------------------------------


def _joined(value: exp.Expression, parts: Sequence[_Part], own: exp.Expression | None = None) -> _Part:
    """Return a part that is null when one of its parts is."""
    return _Part(value, _any([*(part.fails for part in parts), own]), any(part.hides for part in parts))


def _can_fail(part: _Part) -> bool:
    return part.fails is not None


def _skips_null(node: exp.Expression) -> bool:
    return isinstance(node, exp.NullSafeEQ)


def _any(conditions: Iterable[exp.Expression | None]) -> exp.Expression | None:
    known = [condition for condition in conditions if condition is not None]
    return exp.or_(*known) if known else None


def _is_null(value: exp.Expression) -> exp.Expression:
    return exp.Is(this=_paren(value), expression=exp.Null())


def _is_lost(value: exp.Expression, operands: Iterable[exp.Expression]) -> exp.Expression:
    """Whether a value is null although no operand is."""
    known = [exp.Not(this=_is_null(operand)) for operand in operands]
    return exp.and_(*known, _is_null(value))


def _paren(value: exp.Expression) -> exp.Expression:
    simple = isinstance(value, exp.Column | exp.Literal | exp.Paren | exp.Func)
    return value.copy() if simple else exp.Paren(this=value.copy())


def _call(name: str, *arguments: exp.Expression) -> exp.Expression:
    return exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])


def _minus(value: exp.Expression) -> exp.Expression:
    """0 - value, of value's own type."""
    return _call("try_subtract", _cast(exp.Literal.number(0), "tinyint", is_try=False), value)


def _cast(value: exp.Expression, target: str, is_try: bool = True) -> exp.Expression:
    kind = exp.DataType.build(target, dialect="spark")
    return (
        exp.TryCast(this=value.copy(), to=kind, safe=True) if is_try else exp.Cast(this=value.copy(), to=kind)
    )


def _case(
    arms: Iterable[tuple[exp.Expression, exp.Expression]], default: exp.Expression | None = None
) -> exp.Expression:
    ifs = [exp.If(this=condition.copy(), true=result.copy()) for condition, result in arms]
    return exp.Case(ifs=ifs, default=default.copy() if default is not None else None)


def _with(node: exp.Expression, **arguments: object) -> exp.Expression:
    """Return a copy with other operands."""
    copied = cast(exp.Expression, node.copy())
    for name, argument in arguments.items():
        copied.set(name, argument)
    return copied
