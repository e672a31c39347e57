"""A training that is watched from outside, and its gradients worked out a second time."""

import numpy as np
import pytest
import torch
from torch import nn

from rung.audit.preflight import expected
from rung.audit.preflight.watch import Enough, Moment, Watch
from rung.recipe import Train
from rung.training.loop import StepEnd
from rung.training.losses import build_loss


def test_a_watch_sees_calls_steps_and_gradients_and_ends_in_time() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.ReLU(), nn.Linear(3, 4))
    network[1].bias.requires_grad_(False)
    watch = Watch(network, steps=2)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)

    def five_steps() -> None:
        for step in range(5):
            optimizer.zero_grad()
            loss = network(torch.rand(3, 1, 4, 4)).square().sum()
            loss.backward()
            optimizer.step()
            watch.observe(StepEnd(step + 1, 5, loss.item()))

    with watch.looking(), pytest.raises(Enough):
        five_steps()
    seen = watch.trace("why")
    assert (len(seen.forwards), len(seen.losses), seen.stopped) == (2, 2, "why")
    assert set(seen.reached) == {"1.weight", "3.weight", "3.bias"}
    assert seen.changed == {"1.weight": True, "1.bias": False, "3.weight": True, "3.bias": True}
    assert seen.moved > 0
    assert seen.second is not None
    assert set(seen.second.gradients) == set(seen.reached)
    network(torch.rand(1, 1, 4, 4))
    assert len(watch.forwards) == 2, "nothing is looked at afterwards"


def test_gradients_worked_out_apart_contain_l2_and_clipping() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Dropout(0.5), nn.Linear(8, 4))
    train = Train(l2_dense=0.1, clip_norm=0.2)
    images, labels = torch.rand(6, 1, 4, 4), np.arange(6) % 4
    state = {"cpu": torch.get_rng_state()}
    moment = Moment({name: value.clone() for name, value in network.state_dict().items()}, state, {})
    found = expected.gradients(network, moment, images, labels, np.ones(4), build_loss(train), train, "float32")
    torch.set_rng_state(state["cpu"])
    (nn.functional.cross_entropy(network(images), torch.from_numpy(labels)) + 0.1 * network[1].weight.square().sum()).backward()
    nn.utils.clip_grad_norm_(network.parameters(), 0.2)
    for name, parameter in network.named_parameters():
        assert torch.allclose(found[name], parameter.grad, atol=1e-6), name
