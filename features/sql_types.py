"""The types that Spark infers for an expression and all its subexpressions."""

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from sqlglot import exp

from core.errors import ConfigError

VALUES = (exp.Condition, exp.AtTimeZone)
"""Nodes that have a value; the others are names, types and parameters."""


def types_of(text: str, tree: exp.Expr, schema: T.StructType) -> dict[str, T.DataType]:
    """Return the SQL of each subexpression -> the type that Spark infers for it.

    Cost: one analysis without a job, some milliseconds.

    Args:
        text: the expression, for the message.
        tree: the expression.
        schema: the columns that it reads.

    Raises:
        ConfigError: the types do not fit, whatever the values.
    """
    nodes = [
        node
        for node in tree.walk()
        if isinstance(node, VALUES)
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
