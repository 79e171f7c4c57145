"""The typed schema of lists: which items a user is scored against, and what becomes of the scores."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from core.config_model import ConfigModel, Days, Name, Positive, Window
from core.source import FileSource


class MostShown(ConfigModel):
    """The items that were shown most often, ties by item_id; nobody has to have seen them."""

    source: Literal["most_shown"]
    items: Positive
    window: Window


class Newest(ConfigModel):
    """The items that were first shown most recently, ties by item_id."""

    source: Literal["newest"]
    items: Positive


class Active(ConfigModel):
    """All items that were shown in a window. A user's cost grows with their number."""

    source: Literal["active"]
    window: Window


class MostLiked(ConfigModel):
    """Per cohort of users, items with most positive labels of a task in the last days, ties by item_id."""

    source: Literal["most_liked"]
    task: Name
    days: Days
    items: Positive


class OwnFile(FileSource):
    """The items of a file or of a Delta table of one's own; {data_date} in the path is the data date."""

    source: Literal["file"]
    item: str = "item_id"  # a SQL expression over the source's columns


class LikedAttribute(ConfigModel):
    """Per user, items with a value of an attribute that the user likes, such as an author.

    Liked are values of items of which the user has a positive label of the task in the last days. Taken are
    items of these values among the most shown ones: those of the value with most positives first, then the
    more shown ones, then by item_id.
    """

    source: Literal["liked_attribute"]
    attribute: Name
    task: Name
    days: Days
    items: Positive  # at most, per user
    among: Positive  # most shown items
    window: Window  # that impressions of items are counted in


PoolSource = Annotated[
    MostShown | Newest | Active | MostLiked | OwnFile | LikedAttribute, Field(discriminator="source")
]


class NewItems(ConfigModel):
    """Places of a list that are kept for items of one cohort, drawn by hash (models/serving/selection.py)."""

    cohort: Name
    share: Annotated[float, Field(gt=0, le=1)]


def _read_ranking(value: Any) -> Any:
    """Return weights as they are, and none of them for `none`."""
    if value == "none":
        return {}
    if not value or isinstance(value, str):
        raise ValueError(f"{value!r}: expected a weight per binary task, or none for no items")
    return value


class Scoring(ConfigModel):
    """How `score` computes the predictions of users and items.

    bfloat16: matrix products in it, sums of them in float32. Large models take less time, small ones more
    (docs/benchmarks). `evaluate` computes in float32 whatever this is.
    """

    dtype: Literal["float32", "bfloat16"] = "float32"


class ItemList(ConfigModel):
    """One list per user: the best items of a pool, or no items (`ranking: none`) and probabilities alone.

    Final score = product of p ** weight over binary tasks.
    """

    context: dict[Name, int | float | str] = Field(default_factory=dict)
    """Value of each context column of an impression, for which scores are made."""
    ranking: Annotated[dict[Name, Annotated[float, Field(ge=0)]], BeforeValidator(_read_ranking)]
    """Weights of binary tasks; `none`: without items, and then without a weight."""
    pool: tuple[PoolSource, ...] = ()
    """What items come from; an item of several sources counts once."""
    where: str | None = None  # SQL over features of items and item_cohort: other items are left out
    seen_days: Annotated[int, Field(ge=0, le=366)] = 0
    """A user's list leaves out items with which the user has an event on these last days; 0: none."""
    top_k: Positive | None = None
    at_most: dict[Name, Positive] = Field(default_factory=dict)
    """Attribute of items -> how many items of one value a list has at most; null is no value."""
    new_items: NewItems | None = None

    @model_validator(mode="after")
    def _items_have_all_they_need(self) -> Self:
        if not self.has_items:
            given = sorted(
                {"pool", "where", "seen_days", "top_k", "at_most", "new_items"} & self.model_fields_set
            )
            if given:
                raise ValueError(f"ranking is none, so there are no items for {given}; remove them")
        elif not self.pool or self.top_k is None:
            raise ValueError("pool and top_k are missing; a list has items (or write `ranking: none`)")
        return self

    @property
    def has_items(self) -> bool:
        """Whether it is a list of items."""
        return bool(self.ranking)

    @property
    def length(self) -> int:
        """Rows per user, at most."""
        return self.top_k or 1

    @property
    def new_places(self) -> int:
        """Places that are kept for new items: the share, rounded up."""
        return 0 if self.new_items is None else -int(-self.length * self.new_items.share // 1)
