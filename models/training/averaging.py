"""The average of a model's weights over the last part of its training, which is what is validated and kept.

With a constant learning rate the weights of Adam keep moving around a minimum, the farther the higher the
rate; their average is closer to it (Polyak, Juditsky: "Acceleration of Stochastic Approximation by
Averaging", SIAM J. Control Optim. 30, 1992). Weights w(s) of step s count in the average after step t in
proportion to (s / t)^(1 / a - 1), a being the share of the steps that it is about:

    average(t) = average(s) + (1 - (s / t)^(1 / a)) (w(t) - average(s))       s: when it was last taken

which is polynomial-decay averaging (Shamir, Zhang: "Stochastic Gradient Descent for Non-smooth Optimization",
ICML 2013, section 4, with eta = 1 / a - 1). It needs no length in steps, so that one a suits short and long
trainings, and what lies before t (1 - 2 a) has almost no weight in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

EVERY = 0.01
"""Of the steps so far: between two snapshots, each of which costs one pass over all weights."""


class Average:
    """The average of a model's parameters, on their device.

    Memory: one more copy of the parameters, none where `share` is 0.

    Args:
        model: that is trained; buffers are not averaged.
        share: a, in [0, 1); 0: the average is the model as it is.
    """

    def __init__(self, model: nn.Module, share: float) -> None:
        self._parameters = [*model.parameters()] if share else []
        self._share, self._taken_at, self._steps = share, 0, 0
        self._average = [parameter.detach().clone() for parameter in self._parameters]

    def after_step(self) -> None:
        """Count a step, and take the weights into the average where it is time."""
        self._steps += 1
        if self._share and self._steps >= (1 + EVERY) * self._taken_at:
            new = 1 - (self._taken_at / self._steps) ** (1 / self._share)
            with torch.no_grad():
                torch._foreach_lerp_(self._average, [p.detach() for p in self._parameters], new)
            self._taken_at = self._steps

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the model have the average for its weights in the block, and its own ones after it."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for place, parameter in enumerate(self._parameters):
            # Storages change places, and the optimiser keeps its parameters.
            parameter.data, self._average[place] = self._average[place], parameter.data
