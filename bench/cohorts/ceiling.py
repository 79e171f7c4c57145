"""How well could anyone rank the examples of a generated log?

The first ceiling is the AUC of the true probabilities, which depend on unobserved parts of a user. The
second one is the AUC of the probabilities expected given the world, the user's attributes and past
events: particles of the unseen part, weighted by the likelihood of the past. Items count as known: each has
hundreds of training examples.

Letters: M particles, n users, E past events or examples, D latent width, K behaviours.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.cohorts.generate import Log
from jobs.workers.synthetic.hashing import Floats, Ints, normals
from jobs.workers.synthetic.truth import BEHAVIOURS, LATENT, interest_lines

PARTICLES = 2000
USERS_AT_ONCE = 50


@dataclass(frozen=True)
class Expected:
    """Expected probabilities of examples, (users, examples, K), from all particles and from either half."""

    all: Floats
    halves: tuple[Floats, Floats]


def expected_probabilities(log: Log) -> Expected:
    """Return probabilities of the examples given attributes and past, by importance sampling from the prior.

    Each half of the particles is an estimate of its own; the difference of both estimates the error.
    Cost: users x particles x past events.
    """
    hidden = torch.from_numpy(normals(log.world.seed, "particles", np.arange(PARTICLES), LATENT)).float()
    order = np.argsort(log.past_count)  # users of similar pasts together: little padding
    found = [np.empty(log.examples.labels.shape) for _ in range(3)]
    for start in range(0, len(order), USERS_AT_ONCE):
        users = order[start : start + USERS_AT_ONCE]
        for whole, part in zip(found, _of_users(log, users, hidden), strict=True):
            whole[users] = part.numpy()
    return Expected(found[0], (found[1], found[2]))


def _of_users(log: Log, users: Ints, hidden_MD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    seen = np.sqrt(log.world.explained) * log.attributes[users]
    particles = torch.from_numpy(seen).float()[:, None] + float(np.sqrt(1 - log.world.explained)) * hidden_MD
    weights_nM = _log_likelihood(log, users, particles)
    slope, offset = _lines(log, users, log.examples.item, log.examples.cohort)
    p = torch.sigmoid(_interest(particles, slope, offset))  # (n, M, E, K)
    p[..., 2] *= p[..., 1]
    half = len(hidden_MD) // 2
    everyone, first, second = (
        torch.einsum("nm,nmek->nek", weights_nM[:, part].softmax(1), p[:, part])
        for part in (slice(None), slice(0, half), slice(half, None))
    )
    return everyone, first, second


def _log_likelihood(log: Log, users: Ints, particles: Tensor) -> Tensor:
    """Return the log likelihood of each user's past under each particle, (n, M)."""
    longest = int(log.past_count[users].max())
    if longest == 0:
        return torch.zeros(particles.shape[:2])
    past = log.past
    slope, offset = _lines(log, users, past.item[:, :longest], past.cohort[:, :longest])
    labels = torch.from_numpy(past.labels[users, :longest]).float()
    counts = torch.from_numpy(
        np.repeat(past.happened[users, :longest, None], len(BEHAVIOURS), axis=2)
    ).float()
    counts[..., 2] *= labels[..., 1]  # a like says something after a long view only
    sign = 2 * labels - 1
    return (F.logsigmoid(_interest(particles, slope, offset) * sign[:, None]) * counts[:, None]).sum((2, 3))


def _lines(log: Log, users: Ints, item: Ints, cohort: Ints) -> tuple[Tensor, Tensor]:
    slope, offset = interest_lines(log.world, item[users], cohort[users])
    return torch.from_numpy(slope).float(), torch.from_numpy(offset).float()


def _interest(particles: Tensor, slope: Tensor, offset: Tensor) -> Tensor:
    """Return interests of particles (n, M, D) in events, (n, M, E, K)."""
    n, events, behaviours, width = slope.shape
    flat = particles @ slope.reshape(n, events * behaviours, width).transpose(1, 2)
    return flat.view(n, -1, events, behaviours) + offset[:, None]
