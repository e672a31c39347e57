import numpy as np
import pytest
import torch
from torch.nn import functional

from rung.errors import RecipeError
from rung.recipe import Train
from rung.training.losses import LOSSES, build_loss

LOGITS = torch.randn(7, 5, generator=torch.Generator().manual_seed(0)) * 3
LABELS = torch.tensor([0, 1, 2, 3, 4, 4, 0])
SHARES = torch.softmax(torch.randn(7, 5, generator=torch.Generator().manual_seed(1)), dim=1)


def softmax(logits: torch.Tensor) -> np.ndarray:
    values = np.exp(logits.double().numpy())
    return values / values.sum(axis=1, keepdims=True)


def by_hand(name: str, probabilities: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    epsilon = 1e-7
    match name:
        case "cross_entropy":
            return -(wanted * np.log(probabilities)).sum(axis=1)
        case "mse":
            return ((probabilities - wanted) ** 2).mean(axis=1)
        case "msle":
            return ((np.log(np.maximum(probabilities, epsilon) + 1) - np.log(np.maximum(wanted, epsilon) + 1)) ** 2).mean(axis=1)
        case "hinge":
            return np.maximum(1 - (2 * wanted - 1) * probabilities, 0).mean(axis=1)
        case _:
            wanted, probabilities = np.clip(wanted, epsilon, 1), np.clip(probabilities, epsilon, 1)
            return (wanted * np.log(wanted / probabilities)).sum(axis=1)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("soft", [False, True])
def test_loss_is_the_one_written_by_hand(name: str, soft: bool) -> None:
    loss = build_loss(Train(loss=name))
    wanted = SHARES.double().numpy() if soft else np.eye(5)[LABELS.numpy()]
    values = loss(LOGITS, SHARES if soft else LABELS)
    assert values.shape == (7,)
    assert values.dtype == torch.float32
    np.testing.assert_allclose(values.numpy(), by_hand(name, softmax(LOGITS), wanted), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_labels_and_their_one_hot_shares_give_the_same(name: str) -> None:
    loss = build_loss(Train(loss=name))
    torch.testing.assert_close(loss(LOGITS, LABELS), loss(LOGITS, functional.one_hot(LABELS, 5).float()))


def test_losses_agree_with_torch() -> None:
    one_hot = functional.one_hot(LABELS, 5).float()
    probabilities = LOGITS.softmax(dim=1)
    torch.testing.assert_close(LOSSES["cross_entropy"](LOGITS, LABELS), functional.cross_entropy(LOGITS, LABELS, reduction="none"))
    torch.testing.assert_close(LOSSES["mse"](LOGITS, LABELS).mean(), functional.mse_loss(probabilities, one_hot))
    torch.testing.assert_close(LOSSES["kl"](LOGITS, SHARES).mean(), functional.kl_div(LOGITS.log_softmax(dim=1), SHARES, reduction="batchmean"))


@pytest.mark.parametrize("targets", [LABELS, SHARES])
def test_label_smoothing_is_torch_s(targets: torch.Tensor) -> None:
    loss = build_loss(Train(label_smoothing=0.1))
    torch.testing.assert_close(loss(LOGITS, targets), functional.cross_entropy(LOGITS, targets, reduction="none", label_smoothing=0.1))


@pytest.mark.parametrize("name", LOSSES)
def test_a_right_answer_costs_less_than_a_wrong_one_and_descent_finds_it(name: str) -> None:
    loss = build_loss(Train(loss=name))
    assert (loss(20 * torch.eye(5), torch.arange(5)) < loss(20 * torch.eye(5), torch.arange(5).roll(1))).all()
    logits = torch.zeros(5, 5, requires_grad=True)
    for _ in range(300):
        (gradient,) = torch.autograd.grad(loss(logits, torch.arange(5)).mean(), logits)
        logits = (logits - 5 * gradient).detach().requires_grad_()
    assert logits.argmax(dim=1).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("targets", [LABELS, SHARES])
def test_values_are_float32_under_autocast(name: str, targets: torch.Tensor) -> None:
    rough = LOGITS.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = LOSSES[name](rough, targets)
    assert values.dtype == torch.float32
    assert torch.equal(values, LOSSES[name](rough.float(), targets))


@pytest.mark.parametrize("name", LOSSES)
def test_extreme_logits_stay_finite(name: str) -> None:
    logits = torch.tensor([[1000.0, -1000.0, 0.0], [-1000.0, 1000.0, 0.0]], requires_grad=True)
    values = LOSSES[name](logits, torch.tensor([0, 0]))
    values.sum().backward()
    assert torch.isfinite(values).all()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_unknown_loss_is_told_apart() -> None:
    with pytest.raises(RecipeError, match=r"train.loss = 'hing' is not a loss: did you mean 'hinge'\? Your own is given as file.py:name"):
        build_loss(Train(loss="hing"))


def test_own_loss_for_each_image_or_for_all() -> None:
    each = build_loss(Train(loss="mine.py:each"), lambda logits, targets: functional.cross_entropy(logits, targets, reduction="none"))
    mean = build_loss(Train(loss="mine.py:mean"), functional.cross_entropy)
    torch.testing.assert_close(each(LOGITS, LABELS).mean(), mean(LOGITS, LABELS).mean())
    assert mean(LOGITS, LABELS).shape == (7,)
    logits = LOGITS.clone().requires_grad_()
    mean(logits, LABELS).mean().backward()
    expected = LOGITS.clone().requires_grad_()
    functional.cross_entropy(expected, LABELS).backward()
    torch.testing.assert_close(logits.grad, expected.grad)


def test_own_loss_of_a_wrong_shape_or_kind_is_refused() -> None:
    def squares(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return logits.square()

    with pytest.raises(RecipeError, match=r"the loss 'squares' returned the shape \(7, 5\) for 7 images: it must be \(\) or \(7,\)"):
        build_loss(Train(loss="mine.py:squares"), squares)(LOGITS, LABELS)
    with pytest.raises(RecipeError, match="returned float: it must return a float tensor"):
        build_loss(Train(loss="mine.py:number"), lambda logits, targets: 1.0)(LOGITS, LABELS)  # type: ignore[arg-type, return-value]
    with pytest.raises(RecipeError, match=r"returned a tensor of torch.int64: it must return a float tensor"):
        build_loss(Train(loss="mine.py:count"), lambda logits, targets: targets)(LOGITS, LABELS)


@pytest.mark.parametrize("weights", ["balanced", {"cat": 2.0}])
def test_an_own_loss_that_is_reduced_cannot_be_weighed_by_class(weights: object) -> None:
    train = Train(loss="mine.py:mean", class_weights=weights)
    with pytest.raises(RecipeError, match=r"the loss 'cross_entropy' returned one number for 7 images, so train.class_weights cannot weigh them: return one"):
        build_loss(train, functional.cross_entropy)(LOGITS, LABELS)
    each = build_loss(train, lambda logits, targets: functional.cross_entropy(logits, targets, reduction="none"))
    assert each(LOGITS, LABELS).shape == (7,)
