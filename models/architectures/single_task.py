"""Single task: one network per task on shared embeddings, from which the gain of others is measured.

Tang et al., RecSys 2020, section 3.1, and eq. 11 (MTL gain = metric minus this model's).
"""

from models.modules.bottoms import BottomsConfig, TaskBottoms
from models.modules.trunk import Architecture


class SingleTaskConfig(BottomsConfig):
    """`model.trunk` of architecture single_task."""


class SingleTaskTrunk(TaskBottoms):
    """One bottom per task, and nothing else."""


ARCHITECTURE = Architecture(SingleTaskConfig, SingleTaskTrunk)
