"""Controls: labels drawn from a network of random weights on the very inputs that models read.

An architecture is of use for its own kind of truth at least: on the labels of an MFH teacher MFH should win,
on those of a shared-bottom teacher a shared bottom. Where it does not, this bed cannot decide between them.

A teacher's logits are shifted and stretched, task by task, to the mean and the standard deviation that the
logits of the base world's second ceiling have over the test rows. Its probabilities are both ceilings.

Letters: n rows, K tasks.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit

from bench.cohorts.architectures import VARIANTS, matched_width, to_model
from bench.cohorts.data import TestBed
from bench.fit import predict
from jobs.workers.synthetic.hashing import Floats, uniforms
from models.model import MultiTaskModel, build_model
from models.training.reader import Rows

PARAMETERS = 20_000
"""Of a teacher's trunk and towers: a third of a student's, which can hold it."""
GAIN = 6**0.5
"""From torch's initial weights to those of He et al. (ICCV 2015), through which signals keep their size."""


@dataclass(frozen=True)
class TaughtBed:
    """A data set whose labels are a teacher's.

    Attributes:
        data, test: as of TestBed, with other labels.
        probabilities: the teacher's, of the test rows, (n, K).
    """

    bed: TestBed
    probabilities: Floats

    def ceilings(self) -> dict[str, Floats]:
        """Return probabilities of the test rows by name, as of TestBed; all are the teacher's."""
        return dict.fromkeys(("true", "expected", "half_1", "half_2"), self.probabilities)


def to_teacher(name: str, bed: TestBed, seed: int) -> MultiTaskModel:
    """Return a variant with random weights: matrices of He's variance, embeddings standard normal."""
    variant, data = VARIANTS[name], bed.data
    width, _ = matched_width(variant, data.encoder, data.tasks, data.cohorts, PARAMETERS)
    names = [task.name for task in data.tasks]
    model = build_model(to_model(variant, width, 0.001), data.encoder, names, data.cohorts, seed)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.network.parameters():
            if parameter.dim() > 1:
                parameter.mul_(GAIN)
        for table in model.input.tables.parameters():
            table.normal_(generator=random)
    return model.eval()


def taught(name: str, bed: TestBed, seed: int) -> TaughtBed:
    """Return a data set with labels by a variant of random weights.

    Args:
        name: of the variant.
        bed: the inputs, and the spread of logits.
        seed: of the weights and labels.
    """
    teacher = to_teacher(name, bed, seed)
    logits = {"train": bed.data.train, "validation": bed.data.validation, "test": bed.test}
    found = {split: predict(teacher, rows).astype(np.float64) for split, rows in logits.items()}
    wanted = logit(bed.ceilings()["expected"].clip(1e-6, 1 - 1e-6))
    stretch = wanted.std(0) / found["test"].std(0)
    shift = wanted.mean(0) - stretch * found["test"].mean(0)
    p = {split: expit(shift + stretch * z) for split, z in found.items()}
    train, validation = (
        _labelled(rows, p[name], seed, name)
        for name, rows in (("train", bed.data.train), ("validation", bed.data.validation))
    )
    data = replace(bed.data, train=train, validation=validation)
    test = _labelled(bed.test, p["test"], seed, "test")
    return TaughtBed(replace(bed, data=data, test=test), p["test"])


def _labelled(rows: Rows, probabilities: Floats, seed: int, split: str) -> Rows:
    n, tasks = probabilities.shape
    drawn: NDArray[np.float64] = uniforms(seed, f"teacher {split}", np.arange(n), tasks)
    return replace(
        rows, labels=(drawn < probabilities).astype(np.float32), mask=np.ones((n, tasks), np.bool_)
    )
