"""Variances of terms by their evidence, against a search for the greatest one."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from models.modules.evidence import TermPriors

READS = [[0, 1 + a, 4 + g, 7 + 3 * a + g] for a in range(3) for g in range(3)]
"""Of nine cells: what all share, three values of each of two facets, their combinations."""
SUBSETS = [0, *[1] * 3, *[2] * 3, *[3] * 9]
INPUTS = 5


def gaussian_cells(seed: int, variances: tuple[float, float, float]) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs, (n, J), and labels with noise of variance 1, (n,), of each cell; cells have unequal rows."""
    drawn = torch.Generator().manual_seed(seed)
    scale = torch.tensor([1.0, *variances], dtype=torch.float64)[SUBSETS].sqrt()
    terms = torch.randn(16, INPUTS, generator=drawn, dtype=torch.float64) * scale[:, None]
    mixing = torch.randn(INPUTS, INPUTS, generator=drawn, dtype=torch.float64)
    xs = [
        torch.randn(400 * (1 + c % 3), INPUTS, generator=drawn, dtype=torch.float64) @ mixing
        for c in range(9)
    ]
    for x in xs:
        x[:, -1] = 1
    noise = [torch.randn(len(x), generator=drawn, dtype=torch.float64) for x in xs]
    return xs, [x @ terms[reads].sum(0) + e for x, reads, e in zip(xs, READS, noise, strict=True)]


def log_evidence(log_variances: np.ndarray, xs: list[Tensor], ys: list[Tensor]) -> float:
    """Log density of all labels, terms integrated out, but for a constant."""
    design = torch.cat(
        [torch.cat([x * (t in reads) for t in range(16)], 1) for x, reads in zip(xs, READS, strict=True)]
    )
    precision = torch.tensor([1e-6, *np.exp(-log_variances)])[SUBSETS].repeat_interleave(INPUTS)
    posterior, pull = design.T @ design + precision.diag(), design.T @ torch.cat(ys)
    return float(precision.log().sum() - posterior.logdet() + pull @ torch.linalg.solve(posterior, pull)) / 2


def learnt(xs: list[Tensor], ys: list[Tensor], weight_C: Tensor, start: float = 0.0) -> TermPriors:
    """Priors after an epoch of 200 updates, at terms that are far from any minimum if `start` is."""
    priors = TermPriors(READS, SUBSETS, 1).double()
    terms = torch.full((16, 1, INPUTS), start, dtype=torch.float64)
    for u in range(200):
        gradients = []
        for c, (x, y) in enumerate(zip(xs, ys, strict=True)):
            own, labels = x[u::200], y[u::200]
            error = own @ terms[READS[c], 0].sum(0) - labels
            gradients.append(weight_C[c] * error @ own)
        priors.add(weight_C, [torch.stack(gradients)[:, None]], [terms])
    priors.learn()
    return priors


@pytest.mark.parametrize("seed", range(4))
def test_variances_are_those_of_greatest_evidence(seed: int) -> None:
    xs, ys = gaussian_cells(seed, (0.05, 0.2, 0.02))
    free = [torch.linalg.lstsq(x, y[:, None]).solution[:, 0] for x, y in zip(xs, ys, strict=True)]
    # Gradients are those of errors; at a minimum these have the variance of the noise.
    around = [y - x @ w for x, y, w in zip(xs, ys, free, strict=True)]

    priors = TermPriors(READS, SUBSETS, 1).double()
    terms = torch.zeros(16, 1, INPUTS, dtype=torch.float64)
    terms[7:, 0] = torch.stack(free)  # the cells' own terms
    for u in range(200):
        g = torch.stack([-(e[u::200] @ x[u::200]) for x, e in zip(xs, around, strict=True)])
        priors.add(torch.ones(9, dtype=torch.float64), [g[:, None]], [terms])
    priors.learn()

    best = minimize(
        lambda v: -log_evidence(v, xs, ys), np.log([0.1] * 3), method="Nelder-Mead", bounds=[(-18, 5)] * 3
    )
    assert np.log(priors.variances[0]).tolist() == pytest.approx(best.x, abs=0.25)


def test_what_rows_weigh_in_the_loss_does_not_change_what_they_tell() -> None:
    xs, ys = gaussian_cells(1, (0.05, 0.2, 0.02))
    one, twice = (learnt(xs, ys, torch.full((9,), w, dtype=torch.float64)) for w in (1.0, 2.0))
    unequal = learnt(xs, ys, torch.linspace(0.5, 4, 9, dtype=torch.float64))

    torch.testing.assert_close(twice.variances, one.variances)
    torch.testing.assert_close(unequal.variances, one.variances)
    torch.testing.assert_close(twice.strengths, 2 * one.strengths)
    weights = unequal.strengths[0] / one.strengths[0]
    assert weights[7:].tolist() == pytest.approx(np.linspace(0.5, 4, 9).tolist())  # cells
    assert all(0.5 < weight < 4 for weight in weights[1:7])


def test_rows_that_say_nothing_leave_the_variances_as_they_were() -> None:
    priors = TermPriors(READS, SUBSETS, 1)
    priors.learn()
    assert not priors.strengths.any()

    for _ in range(3):
        priors.add(torch.zeros(9), [torch.zeros(9, 2, 4)], [torch.zeros(16, 2, 4)])
    priors.learn()

    assert priors.variances.tolist() == [[1.0, 1.0, 1.0]]
    assert bool(priors.strengths.isfinite().all())
