"""What bounds every variant: a model that is given the form of the truth, trained on the same rows.

It knows that a user and an item are vectors of `LATENT` numbers each, linear in the columns, that they meet
in h = z_user + z_item + z_user z_item, that all cells are linear in h, and that a like follows a long view
(jobs/workers/synthetic/truth.py). What it must learn is the rest, so its distance to the ceiling is what the
rows leave open even to who knows the form. It is the true form where all see the same item vectors, users
have no ids and tasks no sample spaces.

Letters: B rows, D input width, Z latent width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.cohorts.architectures import Variant
from core.encoder import Encoder
from core.model import Model
from jobs.workers.synthetic.dials import KNOWN, LATENT
from models.architectures.esmm import logit_of_product
from models.model import MultiTaskModel
from models.modules.columns import Layout, layout_of
from models.modules.graph import Graph
from models.modules.input import InputLayer
from models.modules.network import Network
from models.modules.pairs import Rows
from models.modules.trunk import CELL, Facets, Trunk

COHORT = "user_cohort"
AFTER = {b.name: KNOWN[b.after].name for b in KNOWN if b.after is not None}


class TrueFormTrunk(Trunk):
    """Cells of behaviour and user cohort that all read h, (B, Z).

    Args:
        inputs: which columns the input vector is made of; `user_cohort` is not read.
        facets: the tasks and the cohorts.
    """

    takes_pairs = False

    def __init__(self, inputs: Layout, facets: Facets) -> None:
        super().__init__()
        sides = {
            side: inputs.of([c for c in inputs.places if c.startswith(side) and c != COHORT], side)
            for side in ("user", "item")
        }
        self._user, self._item = sides["user"], sides["item"]
        self.user = nn.Linear(self._user.width, LATENT)
        self.item = nn.Linear(self._item.width, LATENT)
        self.cohorts = {COHORT: facets[COHORT]}
        self.out_dims = {f"{task}{CELL}{c}": LATENT for task in facets["task"] for c in facets[COHORT]}

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to h, (B, Z), the very same for each wanted cell (default: all)."""
        user_BZ, item_BZ = self.user(self._user.of(x_BD)), self.item(self._item.of(x_BD))
        return dict.fromkeys(
            self.out_dims if wanted is None else wanted, user_BZ + item_BZ + user_BZ * item_BZ
        )

    def link(self, logits: dict[str, Tensor], x_BD: Rows) -> dict[str, Tensor]:
        """Return logits of the products of probabilities along the chains of behaviours."""
        linked: dict[str, Tensor] = {}
        for cell, logit in logits.items():
            task, cohort = cell.split(CELL)
            earlier = AFTER.get(task)
            linked[cell] = (
                logit if earlier is None else logit_of_product(linked[f"{earlier}{CELL}{cohort}"], logit)
            )
        return linked

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw both vectors, and h as the node of all cells."""
        vectors = [graph.add("module", name, [x]) for name in ("user", "item")]
        return dict.fromkeys(self.out_dims, graph.add("join", "h", vectors))


def to_true_form(
    model: Model, encoder: Encoder, tasks: Sequence[str], cohorts: Facets, seed: int
) -> MultiTaskModel:
    """Build the model; arguments as of `models.model.build_model`, and of `model` the input layer alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trunk = TrueFormTrunk(layout_of(encoder), {"task": tasks, **cohorts})
        return MultiTaskModel(InputLayer(encoder, model.input), Network(trunk, tasks, (), {}))


TRUE_FORM = Variant("true_form", lambda _: {}, tower=(), build=to_true_form, width=0)
