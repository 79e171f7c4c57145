"""Logs with a known truth, and models whose errors are those of seeds: as many decisions as one likes.

Row i has J features x_ij, standard normal, the first of them properties of the user. The truth of task k is
z = b_k + s_k sum_j x_ij / sqrt(J), and a label is 1 with probability sigmoid(z). A training learns each
weight with an error: s_k / sqrt(J) (1 + t_k a_j + t_k c_gj), with a_j, c_gj normal, drawn for each seed, c_gj
for each user cohort. A champion that is worse by a known gain lacks a share of the last feature.

Base rates, strengths and t_k are set so that AUCs, and standard deviations of gains over seeds and users, are
about those of KuaiRand-Pure; both are printed beside each other.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from bench.promotion.cells import MeasuredCells, Sample
from quality.gains import Measured
from quality.promotion import Cell

TASKS = ("click", "long_view", "like")
COHORTS = ("new", "low", "high")
BASE = np.array([-0.2, -0.85, -4.9])
STRENGTH = np.array([0.95, 0.95, 1.6])
SEED_ERROR = np.array([0.12, 0.12, 0.35])  # t_k
FEATURES, USER_FEATURES = 8, 3
USERS, ROWS_OF_USER, COHORT_SHARES = 5000, 4, (0.25, 0.35, 0.40)
REPLICATES = 100  # the standard error of the mean is exact to 7 %

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Log:
    """Rows of users: their features, (n, J), and what they are measured on."""

    features: Floats
    sample: Sample


def draw_log(random: np.random.Generator, users: int = USERS) -> Log:
    """Draw users and their rows."""
    user = np.repeat(np.arange(users), ROWS_OF_USER)
    features = random.standard_normal((len(user), FEATURES))
    features[:, :USER_FEATURES] = random.standard_normal((users, USER_FEATURES))[user]
    truth = BASE + features.sum(axis=1, keepdims=True) / np.sqrt(FEATURES) * STRENGTH
    labels = random.random(truth.shape) < expit(truth)
    group = random.choice(len(COHORTS), users, p=COHORT_SHARES)[user]
    ids = user + random.integers(0, 2**40)  # other users in every log, so other replicates
    return Log(features, Sample(TASKS, COHORTS, labels, group, ids, REPLICATES))


def draw_model(random: np.random.Generator, log: Log, missing: Floats | None = None) -> MeasuredCells:
    """Draw one training, and measure it.

    Args:
        random: of the seed.
        log: whose rows it is measured on.
        missing: share of the last feature's weight that it lacks, by task; None: nothing.
    """
    errors = random.standard_normal((1 + len(COHORTS), FEATURES, len(TASKS))) * SEED_ERROR
    known = np.ones((FEATURES, len(TASKS)))
    known[-1] -= 0.0 if missing is None else missing
    weights = (known + errors[0] + errors[1:]) / np.sqrt(FEATURES) * STRENGTH  # (cohorts, J, K)
    logits = np.einsum("nj,njk->nk", log.features, weights[log.sample.user_group])
    return log.sample.measure(BASE + logits)


def pair(number: int, gain: float, users: int = USERS) -> list[Cell]:
    """Return the cells of a candidate and a champion on a log of their own.

    Args:
        number: of the pair; it draws the log and both trainings.
        gain: that the candidate is better by in every task, in AUC; 0: they differ in the seed alone.
        users: of the log.
    """
    random = np.random.default_rng([number, round(1e6 * gain)])
    log = draw_log(random, users)
    candidate = draw_model(random, log)
    champion = draw_model(random, log, missing_for(gain))
    nothing = Measured(0.5, np.full(REPLICATES, 0.5))
    constant: MeasuredCells = dict.fromkeys(candidate, nothing)
    return log.sample.cells(candidate, champion, {"popularity": constant, "group_mean": constant})


@lru_cache(maxsize=4)
def missing_for(gain: float) -> Any:
    """Return the share of the last feature that a model must lack, by task, to be worse by a gain in AUC."""
    if not gain:
        return None
    shares = []
    for base, strength in zip(BASE, STRENGTH, strict=True):
        low, high = 0.0, 1.0
        for _ in range(30):
            middle = (low + high) / 2
            is_more = true_auc(base, strength, 0.0) - true_auc(base, strength, middle) > gain
            low, high = (low, middle) if is_more else (middle, high)
        shares.append(high)
    return np.array(shares)


def true_auc(base: float, strength: float, missing: float) -> float:
    """Return the AUC of a model without errors that lacks a share of the last feature, by integration.

    Its score v and the truth z are normal with correlation r; the AUC is P(v of a positive > v of a
    negative), from the densities of v in both classes on a grid.
    """
    weights = np.ones(FEATURES)
    weights[-1] -= missing
    r = weights.sum() / np.sqrt(FEATURES * (weights**2).sum())
    v = np.linspace(-7, 7, 1401)
    u = np.linspace(-7, 7, 281)
    z = base + strength * (r * v[:, None] + np.sqrt(1 - r**2) * u)
    positive = norm.pdf(v) * (expit(z) * norm.pdf(u)).sum(axis=1)
    negative = norm.pdf(v) * ((1 - expit(z)) * norm.pdf(u)).sum(axis=1)
    below = np.cumsum(negative) - negative / 2
    return float((positive * below).sum() / (positive.sum() * negative.sum()))
