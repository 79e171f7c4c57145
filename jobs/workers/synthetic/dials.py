"""What a synthetic world is asked to be: behaviours, and how cohorts differ in them.

Every dial at 0 leaves its part out; the defaults are the world of `lamplighter generate`. All vectors are
drawn from hashes of the seed.

- q (`difference`) and sigma (`shared`): behaviour k has in cohort c the unit direction
  sqrt(1 - q^2) w_k + q (sqrt(sigma) r_c + sqrt(1 - sigma) r_kc): of what a cohort changes, the share
  sigma is the same for all behaviours. r_c is orthogonal to every w, r_kc to w_k and, where sigma > 0, to
  r_c; all are unit vectors. So the shifts of two behaviours in a cohort have the expected cosine sigma.
- b (`base_spread`): the interest's base in cohort c is b_k + b (sqrt(sigma) s_c + sqrt(1 - sigma) s_kc), s
  standard normal.
- m (`separation`): behaviour k and cohort c see the item vector M_kc z with M_kc = expm(m A_k) expm(m A_c), A
  skew-symmetric, its entries above the diagonal normal with standard deviation (pi / 2) / sqrt(D - 1): at
  m = 1 the angles of a turn have the root mean square of a right angle. M_kc is orthogonal, so vectors
  keep their length.
- `behaviours`: the first so many of BEHAVIOURS. The first three have directions of cosine p (`cosine`); each
  other one lies in the middle between two of them, so that something orthogonal to all is left for r_c.
- `rarity`: is taken off the base of a like.

Letters: K behaviours, C cohorts, D latent width.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import expm

from jobs.workers.synthetic.hashing import Floats, normals

COHORTS = ("new", "low", "high")
LATENT = 6


@dataclass(frozen=True)
class Behaviour:
    """What users do with an item.

    Attributes:
        name: of it.
        base: b_k, of the interest in it; where it follows another one, of that after the other.
        rate: about the share of impressions with it.
        after: place of the behaviour without which it cannot happen.
        between: places of the two behaviours that its direction lies between.
    """

    name: str
    base: float
    rate: float
    after: int | None = None
    between: tuple[int, int] | None = None


KNOWN = (
    Behaviour("click", -0.4, 0.45),
    Behaviour("long_view", -0.9, 0.38),
    Behaviour("like", -1.8, 0.11, after=1),
    Behaviour("comment", -2.2, 0.10, after=0, between=(0, 2)),
    Behaviour("follow", -2.6, 0.15, between=(1, 2)),
    Behaviour("share", -1.2, 0.33, between=(0, 1)),
)


@dataclass(frozen=True)
class Dials:
    """Letters as in the docstring of this module."""

    difference: float = 0.5
    shared: float = 0.0
    base_spread: float = 0.0
    separation: float = 0.0
    behaviours: int = 3
    rarity: float = 0.0
    cosine: float = 0.5
    explained: float = 0.5

    def __post_init__(self) -> None:
        if not 3 <= self.behaviours <= len(KNOWN):
            raise ValueError(f"behaviours is {self.behaviours}; expected 3 to {len(KNOWN)}")
        for name in ("difference", "shared", "cosine", "explained"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a number in [0, 1]")

    def to_behaviours(self) -> tuple[Behaviour, ...]:
        """Return the behaviours of this world, a like being as rare as asked for."""
        like = replace(
            KNOWN[2], base=KNOWN[2].base - self.rarity, rate=KNOWN[2].rate * np.exp(-self.rarity / 2)
        )
        return (*KNOWN[:2], like if self.rarity else KNOWN[2], *KNOWN[3 : self.behaviours])


def to_directions(seed: int, dials: Dials) -> Floats:
    """Return the direction of each behaviour in each cohort, (K, C, D), unit vectors."""
    w = _alike(seed, dials)
    across = normals(seed, "cohorts", np.arange(len(w)), len(COHORTS) * LATENT)
    across = across.reshape(len(w), len(COHORTS), LATENT)
    across -= np.einsum("kcd,kd->kc", across, w)[..., None] * w[:, None]
    for_all = normals(seed, "cohorts shared", np.arange(len(COHORTS)), LATENT)
    for_all -= for_all @ np.linalg.pinv(w) @ w
    for_all /= np.linalg.norm(for_all, axis=-1, keepdims=True)
    if dials.shared > 0:
        across -= np.einsum("kcd,cd->kc", across, for_all)[..., None] * for_all
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    shift = np.sqrt(dials.shared) * for_all + np.sqrt(1 - dials.shared) * across
    directions: Floats = np.sqrt(1 - dials.difference**2) * w[:, None] + dials.difference * shift
    return directions


def to_bases(seed: int, dials: Dials) -> Floats:
    """Return the base of the interest in each behaviour in each cohort, (K, C)."""
    behaviours = dials.to_behaviours()
    for_all = normals(seed, "base shared", np.arange(len(COHORTS)), 1)[:, 0]
    own = normals(seed, "base", np.arange(len(behaviours)), len(COHORTS))
    offset = np.sqrt(dials.shared) * for_all + np.sqrt(1 - dials.shared) * own
    bases: Floats = np.array([b.base for b in behaviours])[:, None] + dials.base_spread * offset
    return bases


def to_turns(seed: int, dials: Dials) -> Floats:
    """Return the orthogonal matrices M of each cohort and behaviour, (C, K, D, D)."""
    by_behaviour = _turns(seed, "turn of behaviour", dials.behaviours, dials.separation)
    by_cohort = _turns(seed, "turn of cohort", len(COHORTS), dials.separation)
    turns: Floats = np.einsum("kde,cef->ckdf", by_behaviour, by_cohort)
    return turns


def _alike(seed: int, dials: Dials) -> Floats:
    """Return the directions w of behaviours, (K, D)."""
    basis, _ = np.linalg.qr(normals(seed, "behaviours", np.arange(LATENT), LATENT))
    common, *own = basis.T[:4]
    w = [np.sqrt(dials.cosine) * common + np.sqrt(1 - dials.cosine) * v for v in own]
    for behaviour in KNOWN[3 : dials.behaviours]:
        one, other = behaviour.between or (0, 1)
        middle = w[one] + w[other]
        w.append(middle / np.linalg.norm(middle))
    return np.stack(w)


def _turns(seed: int, stream: str, count: int, separation: float) -> Floats:
    drawn = normals(seed, stream, np.arange(count), LATENT**2).reshape(count, LATENT, LATENT)
    above = np.triu(drawn, 1) * (np.pi / 2) / np.sqrt(LATENT - 1)
    turns: Floats = expm(separation * (above - above.transpose(0, 2, 1)))
    return turns
