"""Priors of the terms that cells are sums of, with precisions that are learnt from the data.

The parameters of cell c in one layer are the sum of the terms t that it reads, theta_t ~ N(0, 1 / p_s), s being
the subset of t. The information of cell c, F_c, is the sum over its rows of outer products of gradients, a large
matrix. Kept of it are its second moments by output and by input, as in Kronecker-factored approximations
(Martens, Grosse: ICML 2015); for a layer of one output that is all of it. In the eigenvectors of their sums over
all cells F_c is taken for diagonal, so that each place (h, j) of the layer is a problem of its own:

    covariance at (h, j) = (reads' diag(F_c,hj) reads + diag(p_s(t)))^-1        of all terms, (T, T)
    gamma_s = sum over the terms t of subset s and all (h, j) of 1 - p_s covariance_tt
    1 / p_s = sum of theta_t^2 / gamma_s        over the same

gamma_s is the number of a subset's parameters that rows determine, the last line MacKay's fixed point
("Bayesian Interpolation", Neural Computation 4, 1992). Terms are kept together since they compete for the same
rows: with a covariance that is diagonal in t, too, a subset shrinks to nothing wherever another can stand in.
docs/models/pooled.md derives this.

Letters: L layers, C cells, T terms, S subsets, U updates of an epoch; H output width of a layer, J its input
width, with the constant input that the bias is the weight of.
"""

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

FLAT = 1e-6
"""Precision of a term without a prior: above 0, so that no matrix is singular where a unit is dead."""
LEAST = 1e-8
"""The smallest variance of a prior: what its terms add to a logit cannot be seen."""
TINY = 1e-12
"""What divisors are at least."""


class TermPriors(nn.Module):
    """The prior of each term in each layer; what an epoch's gradients say is kept until it is learnt from.

    Args:
        reads: terms of each cell.
        subsets: of each term; 0: it has no prior.
        layers: L.
    """

    def __init__(self, reads: Sequence[Sequence[int]], subsets: Sequence[int], layers: int) -> None:
        super().__init__()
        self._reads_CT = torch.zeros(len(reads), len(subsets), dtype=torch.float64, device="cpu")
        self._of_ST = torch.zeros(max(subsets), len(subsets), dtype=torch.float64, device="cpu")
        for cell, terms in enumerate(reads):
            self._reads_CT[cell, list(terms)] = 1
        for term, subset in enumerate(subsets):
            self._of_ST[:, term] = torch.arange(1, max(subsets) + 1, device="cpu") == subset
        self.register_buffer("precisions", torch.ones(layers, max(subsets)))
        self.register_buffer("strengths", torch.zeros(layers, len(subsets)))
        self._moments: list[tuple[Tensor, Tensor]] = []
        self._weights: list[Tensor] = []

    def penalty(self, squares_LT: Tensor) -> Tensor:
        """Return an update's share of the negative log density: 0 until the first epoch is over.

        Args:
            squares_LT: sums of squares of the terms' parameters.
        """
        return (cast(Tensor, self.strengths) * squares_LT).sum() / 2

    def add(self, row_weights_C: Tensor, gradients: Iterable[Tensor]) -> None:
        """Keep what an update says.

        Args:
            row_weights_C: what the loss of a row of each cell counts in that of the update.
            gradients: of the update's loss by the parameters of all cells, (C, H, J) for each layer.
        """
        of_sums_C = torch.where(
            row_weights_C > 0, 1 / row_weights_C, 0.0
        )  # from weighted sums to sums over rows
        of_rows = [of_layer_CHJ * of_sums_C[:, None, None] for of_layer_CHJ in gradients]
        new = [(g_CHJ @ g_CHJ.mT, g_CHJ.mT @ g_CHJ) for g_CHJ in of_rows]
        old = self._moments or [(torch.zeros_like(o), torch.zeros_like(i)) for o, i in new]
        self._moments = [(o + p, i + q) for (o, i), (p, q) in zip(old, new, strict=True)]
        self._weights.append(row_weights_C)

    def learn(self, squares_LT: Tensor) -> None:
        """Learn precisions from the updates since the last call, and what of the prior each update gets.

        Args:
            squares_LT: as of `penalty`.
        """
        if not self._weights:
            return
        weights_UC = torch.stack(self._weights).double().cpu()
        weight_C = weights_UC.sum(0) / (weights_UC > 0).sum(0).clamp(min=1)
        for layer, (moments, squares_T) in enumerate(
            zip(self._moments, squares_LT.double().cpu(), strict=True)
        ):
            precision_S, strength_T = (cast(Tensor, of)[layer] for of in (self.precisions, self.strengths))
            information_CHJ = rotated(*moments)
            old_S = precision_S.double().cpu()
            gamma_T = determined(information_CHJ, self._reads_CT, self._by_term(old_S) + FLAT)
            count_S = self._of_ST.sum(1) * information_CHJ[0].numel()
            new_S = 1 / updated(1 / old_S, self._of_ST @ gamma_T, self._of_ST @ squares_T, count_S)
            precision_S.copy_(new_S)
            weight_T = self._weights_of_terms(weight_C, information_CHJ.sum((1, 2)))
            strength_T.copy_(self._by_term(new_S) * weight_T / len(weights_UC))
        self._moments, self._weights = [], []

    def _by_term(self, values_S: Tensor) -> Tensor:
        """Return the value of each term's subset, 0 without one, (T,)."""
        return values_S @ self._of_ST

    def _weights_of_terms(self, weight_C: Tensor, known_C: Tensor) -> Tensor:
        """Return what the loss of a row counts for each term, (T,), if cells weigh and know so much.

        It is the variance of the gradient over the curvature, both of which grow with the information.
        """
        known_CT = self._reads_CT * known_C[:, None].clamp(min=TINY)
        return (weight_C**2 @ known_CT) / (weight_C @ known_CT).clamp(min=TINY**2)


def rotated(outputs_CHH: Tensor, inputs_CJJ: Tensor) -> Tensor:
    """Return the diagonals of F in the eigenvectors that cells have in common, (C, H, J).

    Args:
        outputs_CHH: second moments by output.
        inputs_CJJ: the same by input; both have the same traces.
    """
    by_output_CH, by_input_CJ = (_in_common_eigenvectors(of) for of in (outputs_CHH, inputs_CJJ))
    return (
        by_output_CH[:, :, None] * (by_input_CJ / by_input_CJ.sum(1, keepdim=True).clamp(min=TINY))[:, None]
    )


def determined(information_CHJ: Tensor, reads_CT: Tensor, precision_T: Tensor) -> Tensor:
    """Return how many parameters of each term the rows determine, (T,), from 0 to H J.

    Args:
        information_CHJ: diagonals of F.
        reads_CT: 1 where a cell reads a term, else 0.
        precision_T: of the terms' priors, above 0.
    """
    variances_HJT = []
    for information_CJ in information_CHJ.unbind(1):  # one output at a time: J T T numbers in memory
        inverse_JTT = torch.einsum("ct,cj,cu->jtu", reads_CT, information_CJ, reads_CT) + precision_T.diag()
        variances_HJT.append(torch.linalg.inv(inverse_JTT).diagonal(dim1=1, dim2=2))
    return (1 - precision_T * torch.stack(variances_HJT)).clamp(0, 1).sum((0, 1))


def updated(variance_S: Tensor, gamma_S: Tensor, square_S: Tensor, count_S: Tensor) -> Tensor:
    """Return the variances of priors after one step to the fixed point, (S,).

    A variance falls to MacKay's at once, and rises by the step of the EM algorithm, which has the same
    fixed point: what an optimiser's noise leaves of a subset that is not there would lift it again and again.

    Args:
        variance_S: so far.
        gamma_S: number of a subset's parameters that rows determine.
        square_S: sum of their squares.
        count_S: their number.
    """
    mackay_S = square_S / gamma_S.clamp(min=TINY)
    em_S = (square_S + (count_S - gamma_S) * variance_S) / count_S
    falls_S = (mackay_S < variance_S) & (gamma_S > 1e-9 * count_S)  # else nothing is known of the subset
    return torch.where(falls_S, mackay_S, em_S).clamp(min=LEAST)


def _in_common_eigenvectors(moments_CNN: Tensor) -> Tensor:
    """Return the diagonals of matrices in the eigenvectors of their sum, (C, N)."""
    moments_CNN = moments_CNN.double().cpu()
    vectors_NN = torch.linalg.eigh(moments_CNN.sum(0)).eigenvectors
    return torch.einsum("nk,cnm,mk->ck", vectors_NN, moments_CNN, vectors_NN).clamp(min=0)
