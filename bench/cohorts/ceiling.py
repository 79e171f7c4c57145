"""How well could anyone rank the examples of a generated log?

The first ceiling is the AUC of the true probabilities, which depend on unobserved parts of a user. The
second one is the AUC of the probabilities expected given the world, the user's attributes and known
events: particles of the unseen part, weighted by the likelihood of what is known. Items count as known: where
they have few training examples each, this ceiling is an upper bound that no model can reach.

The unseen part e is standard normal, interests are linear in it, so its posterior has one mode. Particles are
e = mode + sqrt(WIDER) L^-T n, n standard normal (a scrambled Sobol sequence), L L^T the negative second
derivative of the log posterior there, and importance weights make the estimate exact in the limit.

Letters: M particles, n users, E known events or examples, D latent width, K behaviours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtri
from scipy.stats.qmc import Sobol
from torch import Tensor
from torch.nn import functional as F

from bench.cohorts.generate import Log
from jobs.workers.synthetic.dials import LATENT, Behaviour
from jobs.workers.synthetic.hashing import Floats
from jobs.workers.synthetic.truth import Events, along_chains, interest_lines

PARTICLES = 1024
USERS_AT_ONCE = 50
NEWTON_STEPS = 12
WIDER = 1.2
"""The posterior falls more slowly than the normal distribution at its mode, so particles spread wider."""


@dataclass(frozen=True)
class Expected:
    """Expected probabilities of examples, (users, examples, K), from all particles and from either half."""

    all: Floats
    halves: tuple[Floats, Floats]


@dataclass(frozen=True)
class _Evidence:
    """Interests of known events as lines in e, and what happened: slope (n, EK, D), the others (n, EK).

    counts: 0 where nothing is known, 1 elsewhere.
    """

    slope: Tensor
    offset: Tensor
    label: Tensor
    counts: Tensor


def expected_probabilities(log: Log, also_known: Events | None = None) -> Expected:
    """Return probabilities of the examples given attributes and known events, by importance sampling.

    Each half of the particles is an estimate of its own; the difference of both estimates the error.
    Cost: users x particles x known events.

    Args:
        log: users, their past and the examples.
        also_known: events of the same users beside their past, (users, E).
    """
    uniform = Sobol(LATENT, rng=log.world.seed).random(PARTICLES)
    noise = torch.from_numpy(ndtri(uniform)).float()
    known = log.past if also_known is None else _side_by_side(also_known, log.past)
    order = np.argsort(
        known.happened.sum(1), kind="stable"
    )  # users of similar pasts together: little padding
    found = [np.empty(log.examples.labels.shape) for _ in range(3)]
    for start in range(0, len(order), USERS_AT_ONCE):
        users = order[start : start + USERS_AT_ONCE]
        seen = np.sqrt(log.world.dials.explained) * log.attributes[users]
        parts = _of_users(log, seen, _of_rows(known, users), _of_rows(log.examples, users), noise)
        for whole, part in zip(found, parts, strict=True):
            whole[users] = part.numpy()
    return Expected(found[0], (found[1], found[2]))


def _of_users(
    log: Log, seen: Floats, known: Events, examples: Events, noise_MD: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    evidence = _to_evidence(log, seen, known)
    hidden_nMD, log_weight_nM = _particles(evidence, noise_MD)
    slope, offset = _lines(log, seen, examples)
    p = torch.sigmoid(hidden_nMD @ slope.transpose(1, 2) + offset[:, None])
    p = along_chains(p.unflatten(2, examples.labels.shape[1:]), log.world.behaviours)  # (n, M, E, K)
    half = len(noise_MD) // 2
    everyone, first, second = (
        torch.einsum("nm,nmek->nek", log_weight_nM[:, part].softmax(1), p[:, part])
        for part in (slice(None), slice(0, half), slice(half, None))
    )
    return everyone, first, second


def _particles(evidence: _Evidence, noise_MD: Tensor) -> tuple[Tensor, Tensor]:
    """Return particles of e, (n, M, D), and logarithms of their weights, (n, M)."""
    n, width = len(evidence.slope), noise_MD.shape[1]
    mode, eye = torch.zeros(n, width), torch.eye(width)
    curvature = eye.expand(n, width, width)
    for _ in range(NEWTON_STEPS if evidence.slope.shape[1] else 0):
        p = torch.sigmoid(torch.einsum("ned,nd->ne", evidence.slope, mode) + evidence.offset)
        slope_of_all = (
            torch.einsum("ne,ned->nd", evidence.counts * (evidence.label - p), evidence.slope) - mode
        )
        spread = evidence.counts * p * (1 - p)
        curvature = eye + torch.einsum("ne,ned,nef->ndf", spread, evidence.slope, evidence.slope)
        step = torch.linalg.solve(curvature, slope_of_all)
        mode = mode + step / step.norm(dim=1, keepdim=True).clamp(min=1)  # longer ones can swing for ever
    root = torch.linalg.cholesky(curvature)
    # Wider than the prior would not help where nothing is known: there the prior itself is exact.
    wider = WIDER if evidence.slope.shape[1] else 1.0
    away = torch.linalg.solve_triangular(
        root.transpose(1, 2), wider**0.5 * noise_MD.T.expand(n, -1, -1), upper=True
    )
    hidden = mode[:, None] + away.transpose(1, 2)
    z = hidden @ evidence.slope.transpose(1, 2) + evidence.offset[:, None]  # (n, M, EK)
    likelihood = (F.logsigmoid(z * (2 * evidence.label - 1)[:, None]) * evidence.counts[:, None]).sum(2)
    prior, proposal = -0.5 * hidden.square().sum(2), -0.5 * noise_MD.square().sum(1)
    return hidden, likelihood + prior - proposal


def _to_evidence(log: Log, seen: Floats, known: Events) -> _Evidence:
    longest = int(np.flatnonzero(known.happened.any(0)).max(initial=-1)) + 1
    known = Events(*(getattr(known, name)[:, :longest] for name in Events.__dataclass_fields__))
    slope, offset = _lines(log, seen, known)
    counts = np.repeat(known.happened[..., None], known.labels.shape[-1], axis=2).astype(np.float64)
    _only_after(counts, known.labels, log.world.behaviours)
    label, weight = (torch.from_numpy(v).float().flatten(1) for v in (known.labels, counts))
    return _Evidence(slope, offset, label, weight)


def _only_after(counts: Floats, labels: Floats, behaviours: Sequence[Behaviour]) -> None:
    """Take out what says nothing: a like says something after a long view only."""
    for k, behaviour in enumerate(behaviours):
        if behaviour.after is not None:
            counts[..., k] *= labels[..., behaviour.after]


def _lines(log: Log, seen: Floats, events: Events) -> tuple[Tensor, Tensor]:
    """Return slope (n, EK, D) and offset (n, EK) of interests as lines in e."""
    slope, offset = interest_lines(log.world, events.item, events.cohort)
    offset = offset + np.einsum("nekd,nd->nek", slope, seen)
    slope = slope * np.sqrt(1 - log.world.dials.explained)
    return torch.from_numpy(slope).float().flatten(1, 2), torch.from_numpy(offset).float().flatten(1)


def _of_rows(events: Events, rows: np.ndarray) -> Events:  # type: ignore[type-arg]
    return Events(*(getattr(events, name)[rows] for name in Events.__dataclass_fields__))


def _side_by_side(one: Events, other: Events) -> Events:
    names = Events.__dataclass_fields__
    return Events(*(np.concatenate([getattr(one, name), getattr(other, name)], axis=1) for name in names))
