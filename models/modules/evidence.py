"""Priors of the terms that cells are sums of, with variances that are learnt from the data.

The parameters of cell c in one layer are the sum W_c of the terms t that it reads, theta_t ~ N(0, v_s), s the
subset of t. What an epoch's rows say of W_c is summed up by its information F_c and by b_c, as in

    gradient of the sum of their losses by W_c = F_c W_c - b_c

F_c is the sum over updates of outer products of gradients, less those of their mean. Kept of this matrix are
its second moments by output and by input, as in Kronecker-factored approximations (Martens, Grosse: ICML
2015); for a layer of one output that is all of it. In the eigenvectors of their sums over all cells F_c is
taken for diagonal, so that each place (h, j) of the layer is a problem of its own, of T unknowns. With R the
matrix of who reads what:

    covariance = (R' diag(F_c) R + diag(1 / v_s(t)))^-1        of all terms at a place
    mean       = covariance R' b
    gamma_s    = sum over the terms t of s and all places of 1 - covariance_tt / v_s
    v_s        = sum of mean_t^2 / gamma_s        over the same

gamma_s is the number of a subset's parameters that rows determine, the last line MacKay's fixed point
("Bayesian Interpolation", Neural Computation 4, 1992). It is iterated between epochs, on posterior means and
not on the trained terms: training moves weight from one term to another too slowly.
docs/models/pooled.md derives this.

Letters: L layers, C cells, T terms, S subsets, P places of a layer; H output width of a layer, J its input
width, with the constant input that the bias is the weight of.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

ITERATIONS = 50
FLAT = 1e-6
"""Precision of a term without a prior: above 0, so that no matrix is singular where a unit is dead."""
LEAST = 1e-8
"""The smallest variance of a prior: what its terms add to a logit cannot be seen."""
MOST = 1e4
"""The largest, of terms that are free."""
TINY = 1e-12
"""What divisors are at least."""


class TermPriors(nn.Module):
    """The prior of each term in each layer; what an epoch's gradients say is kept until it is learnt from.

    Args:
        reads: terms of each cell, the one that it alone reads last.
        subsets: of each term; 0: it has no prior.
        layers: L.
    """

    def __init__(self, reads: Sequence[Sequence[int]], subsets: Sequence[int], layers: int) -> None:
        super().__init__()
        self._own = [terms[-1] for terms in reads]
        self._reads_CT = torch.zeros(len(reads), len(subsets), dtype=torch.float64, device="cpu")
        self._flat_T = torch.tensor([0.0 if subset else FLAT for subset in subsets], device="cpu").double()
        self._of_ST = torch.zeros(max(subsets), len(subsets), dtype=torch.float64, device="cpu")
        for cell, terms in enumerate(reads):
            self._reads_CT[cell, list(terms)] = 1
        for term, subset in enumerate(subsets):
            if subset:
                self._of_ST[subset - 1, term] = 1
        self.register_buffer("variances", torch.ones(layers, max(subsets)))
        self.register_buffer("strengths", torch.zeros(layers, len(subsets)))
        self._layers: list[Updates] = []
        self._weights: list[Tensor] = []

    def penalty(self, terms: Sequence[Tensor]) -> Tensor:
        """Return an update's share of the negative log density: 0 until the first epoch is over.

        Args:
            terms: parameters of all terms, (T, H, J) for each layer.
        """
        squares_LT = torch.stack([of_layer_THJ.square().sum((1, 2)) for of_layer_THJ in terms])
        return (cast(Tensor, self.strengths) * squares_LT).sum() / 2

    def add(self, row_weights_C: Tensor, gradients: Sequence[Tensor], terms: Sequence[Tensor]) -> None:
        """Keep what an update says.

        Args:
            row_weights_C: what the loss of a row of each cell counts in that of the update.
            gradients: of the update's loss, penalty included, by each cell's own term, (C, H, J) per layer.
            terms: as of `penalty`, as they were.
        """
        # From gradients of weighted sums to those of sums over rows.
        of_rows_C11 = torch.where(row_weights_C > 0, 1 / row_weights_C, 0.0)[:, None, None]
        self._layers = self._layers or [Updates(own_CHJ) for own_CHJ in gradients]
        for layer, (own_CHJ, terms_THJ) in enumerate(zip(gradients, terms, strict=True)):
            strength_C = cast(Tensor, self.strengths)[layer, self._own]
            of_loss_CHJ = own_CHJ - strength_C[:, None, None] * terms_THJ[self._own]
            cells_CHJ = torch.einsum("ct,thj->chj", self._reads_CT.to(terms_THJ), terms_THJ)
            self._layers[layer].add(of_loss_CHJ * of_rows_C11, cells_CHJ)
        self._weights.append(row_weights_C)

    def learn(self) -> None:
        """Learn the variances, and with them the strengths, from the updates since the last call."""
        if not self._weights:
            return
        weights_UC = torch.stack(self._weights).double().cpu()
        weight_C = weights_UC.sum(0) / (weights_UC > 0).sum(0).clamp(min=1)
        for layer, updates in enumerate(self._layers):
            variance_S, strength_T = (cast(Tensor, of)[layer] for of in (self.variances, self.strengths))
            information_CP, pull_CP = updates.rotated()
            new_S = self._fixed_point(variance_S.double().cpu(), information_CP, pull_CP)
            variance_S.copy_(new_S)
            weight_T = self._weights_of_terms(weight_C, information_CP.sum(1))
            strength_T.copy_((1 / new_S) @ self._of_ST * weight_T / len(weights_UC))
        self._layers, self._weights = [], []

    def _fixed_point(self, variance_S: Tensor, information_CP: Tensor, pull_CP: Tensor) -> Tensor:
        """Return the variances that F and b lead to."""
        reads_CT, of_ST = self._reads_CT, self._of_ST
        data_PTT = torch.einsum("ct,cp,cu->ptu", reads_CT, information_CP, reads_CT)
        pull_PT1 = (reads_CT.T @ pull_CP).T[:, :, None]
        for _ in range(ITERATIONS):
            precision_T = (1 / variance_S) @ of_ST
            covariance_PTT = torch.linalg.inv(data_PTT + (precision_T + self._flat_T).diag())
            known_PT = 1 - precision_T * covariance_PTT.diagonal(dim1=1, dim2=2)
            gamma_S = of_ST @ known_PT.clamp(0, 1).sum(0)
            square_S = of_ST @ (covariance_PTT @ pull_PT1).square().sum((0, 2))
            is_known_S = gamma_S > 1e-9 * known_PT.numel()  # else no row reads the subset
            mackay_S = (square_S / gamma_S.clamp(min=TINY)).clamp(LEAST, MOST)
            variance_S = torch.where(is_known_S, mackay_S, variance_S)
        return variance_S

    def _weights_of_terms(self, weight_C: Tensor, known_C: Tensor) -> Tensor:
        """Return what the loss of a row counts for each term, (T,), if cells weigh and know so much.

        It is the variance of the gradient over the curvature, both of which grow with the information.
        """
        known_CT = self._reads_CT * known_C[:, None].clamp(min=TINY)
        return (weight_C**2 @ known_CT) / (weight_C @ known_CT).clamp(min=TINY**2)


class Updates:
    """Sums over the updates of an epoch, of one layer in each cell.

    Args:
        like: a gradient, (C, H, J).
    """

    def __init__(self, like: Tensor) -> None:
        self._count = 0
        self._gradients, self._cells = torch.zeros_like(like), torch.zeros_like(like)
        self._outputs, self._inputs = (torch.zeros_like(g @ g.mT) for g in (like, like.mT))

    def add(self, gradients_CHJ: Tensor, cells_CHJ: Tensor) -> None:
        """Add the gradients of an update's rows by the cells' parameters, and these."""
        self._count += 1
        self._gradients += gradients_CHJ
        self._cells += cells_CHJ
        self._outputs.baddbmm_(gradients_CHJ, gradients_CHJ.mT)
        self._inputs.baddbmm_(gradients_CHJ.mT, gradients_CHJ)

    def rotated(self) -> tuple[Tensor, Tensor]:
        """Return F and b, (C, P) each, in the eigenvectors of F that cells have in common."""
        gradients, cells, outputs, inputs = (
            sums.double().cpu() for sums in (self._gradients, self._cells, self._outputs, self._inputs)
        )
        by_output_CH, of_H = _in_common_eigenvectors(outputs - gradients @ gradients.mT / self._count)
        by_input_CJ, of_J = _in_common_eigenvectors(inputs - gradients.mT @ gradients / self._count)
        shares_CJ = by_input_CJ / by_input_CJ.sum(1, keepdim=True).clamp(min=TINY)
        information_CHJ = by_output_CH[:, :, None] * shares_CJ[:, None, :]
        pull_CHJ = information_CHJ * (of_H.T @ cells @ of_J) / self._count - of_H.T @ gradients @ of_J
        return information_CHJ.flatten(1), pull_CHJ.flatten(1)


def _in_common_eigenvectors(moments_CNN: Tensor) -> tuple[Tensor, Tensor]:
    """Return the diagonals of matrices in the eigenvectors of their sum, (C, N), and these, (N, N)."""
    moments_CNN = moments_CNN.double().cpu()
    vectors_NN = torch.linalg.eigh(moments_CNN.sum(0)).eigenvectors
    return torch.einsum("nk,cnm,mk->ck", vectors_NN, moments_CNN, vectors_NN).clamp(min=0), vectors_NN
