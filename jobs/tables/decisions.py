"""The table `promotions`: who is the champion as of a data date."""

from datetime import date

from jobs.tables.store import Store


def newest_champion(store: Store) -> str | None:
    """Return the champion after the last decision that there is; None: there is none."""
    dates = [row["data_date"] for row in store.rows("promotions")]
    return champion_as_of(store, max(dates)) if dates else None


def champion_as_of(store: Store, data_date: date, candidate: str | None = None) -> str | None:
    """Return the champion after the last promotion with a data date up to the given one; None: there is none.

    Args:
        store: the tables.
        data_date: decisions of later data dates do not count.
        candidate: leave out this candidate's own decision of that data date and later ones: the result is
            the champion that it has to beat.
    """
    decisions = sorted(store.rows("promotions"), key=lambda row: (row["data_date"], row["decision_no"]))
    own = [
        row["decision_no"]
        for row in decisions
        if row["data_date"] == data_date and row["candidate"] == candidate
    ]
    before = own[0] if candidate is not None and own else None
    champion: str | None = None
    for row in decisions:
        is_later = row["data_date"] > data_date
        is_own_or_later = (
            before is not None and row["data_date"] == data_date and row["decision_no"] >= before
        )
        if not is_later and not is_own_or_later:
            champion = row["candidate"] if row["promoted"] else champion
    return champion
