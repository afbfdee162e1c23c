"""Distillation: the target is the teacher's, the teacher never changes, the gradient is by hand."""

import copy
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edge_course import fashion_mnist
from edge_course.distillation import soft_targets
from edge_course.distillation.losses import (
    Distillation,
    FeatureMatching,
    WithRegressor,
    captured,
    soft_loss,
)
from edge_course.networks import torch_training
from edge_course.networks.torch_models import SeparableBlock, conv_norm

RANDOM = np.random.default_rng
TEMPERATURES = st.floats(0.5, 20)


@pytest.fixture(autouse=True)
def one_thread():
    with torch_training.one_thread():
        yield


def network(seed: int, width: int = 4) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        OrderedDict(
            stem=conv_norm(1, width, 3, stride=2, activation=nn.ReLU6()),
            block=SeparableBlock(width, width, stride=2),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            scores=nn.Linear(width, 10),
        )
    )


@pytest.fixture(scope="module")
def images() -> tuple[np.ndarray, np.ndarray]:
    train = fashion_mnist.load("train")
    chosen = fashion_mnist.first_of_each_class(train.labels, 13)
    return fashion_mnist.preprocess(train.images[chosen]), train.labels[chosen]


@pytest.fixture
def teacher() -> nn.Module:
    model = network(1, width=6)
    for _ in range(3):
        model(torch.rand(8, 1, 28, 28))  # its averages have moved from where they begin
    return model.eval()


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return torch.rand(8, 1, 28, 28), torch.arange(8)


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(model.state_dict())


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def scores(seed: int, rows: int = 5) -> tuple[np.ndarray, np.ndarray]:
    return tuple(RANDOM(seed).normal(0, 3, (2, rows, 10)))


def tensors(*arrays: np.ndarray, gradient: bool = False) -> list[torch.Tensor]:
    return [torch.tensor(a, dtype=torch.float32, requires_grad=gradient) for a in arrays]


@settings(max_examples=25)
@given(st.integers(0, 99), TEMPERATURES)
def test_soft_loss_is_that_of_numpy(seed: int, temperature: float) -> None:
    student, teacher = scores(seed)
    found = soft_loss(*tensors(student, teacher), temperature).item()
    assert found == pytest.approx(soft_targets.soft_loss(student, teacher, temperature), rel=1e-4)


@settings(max_examples=25)
@given(st.integers(0, 99), TEMPERATURES)
def test_gradient_is_the_formula_for_the_student_and_none_for_the_teacher(seed, t) -> None:
    student, teacher = tensors(*scores(seed), gradient=True)
    soft_loss(student, teacher, t).backward()
    p, q = (torch.softmax(z.detach() / t, dim=1) for z in (teacher, student))
    torch.testing.assert_close(student.grad, (q - p) * t**2 / t / 5, atol=1e-5, rtol=1e-4)
    by_numpy = soft_targets.soft_loss_gradient(*scores(seed), t)
    torch.testing.assert_close(student.grad, torch.tensor(by_numpy).float(), atol=1e-5, rtol=1e-4)
    assert teacher.grad is None


@settings(max_examples=15)
@given(st.integers(0, 99))
def test_at_a_high_temperature_the_gradient_is_that_of_matching_scores(seed: int) -> None:
    student, teacher = scores(seed)
    leaf, other = tensors(student, teacher)
    leaf.requires_grad_()
    soft_loss(leaf, other, 300).backward()
    centred = [z - z.mean(axis=1, keepdims=True) for z in (student, teacher)]
    limit = (centred[0] - centred[1]) / student.size
    assert np.abs(leaf.grad.numpy() - limit).max() < 0.02 * np.abs(limit).max()


@settings(max_examples=15)
@given(st.integers(0, 99))
def test_without_t_squared_the_gradient_would_shrink_with_its_square(seed: int) -> None:
    def size(temperature: float) -> float:
        leaf, other = tensors(*scores(seed))
        leaf.requires_grad_()
        soft_loss(leaf, other, temperature).backward()
        return leaf.grad.norm().item()

    assert size(400) == pytest.approx(size(100), rel=0.05)
    assert size(400) / 400**2 == pytest.approx(size(100) / 100**2 / 16, rel=0.05)


def test_the_loss_is_the_mixture_and_looks_at_the_teacher(teacher, batch) -> None:
    student, (pictures, labels) = network(3).eval(), batch
    answers, targets = (m(pictures).detach().numpy() for m in (student, teacher))
    for share in (0.0, 0.3, 1.0):
        found = Distillation(teacher, 3, share)(student, pictures, labels).item()
        expected = soft_targets.distillation_loss(answers, targets, labels.numpy(), 3, share)
        assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_another_teacher_is_another_loss_and_another_gradient(teacher, batch, share) -> None:
    """A loss from the student's own scores would be 0 at share 1, whatever the teacher says."""
    student, order = network(3).eval(), torch.randperm(10, generator=torch.manual_seed(0))
    turned = nn.Sequential(teacher, Permuted(order)).eval()
    losses, gradients = [], []
    for asked in (teacher, turned):
        student.zero_grad()
        loss = Distillation(asked, 2, share)(student, *batch)
        loss.backward()
        losses.append(loss.item())
        gradients.append(student.scores.weight.grad.clone())
    assert abs(losses[0] - losses[1]) > 1e-3 and min(losses) > 1e-3
    assert (gradients[0] - gradients[1]).abs().max() > 1e-4


class Permuted(nn.Module):
    """The scores of the classes in another order."""

    def __init__(self, order: torch.Tensor):
        super().__init__()
        self.order = order

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z[:, self.order]


def test_a_twin_of_the_teacher_has_nothing_to_learn_from_it(teacher, batch) -> None:
    twin = copy.deepcopy(teacher)
    loss = Distillation(teacher, 4, 1.0)(twin, *batch)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert max(p.grad.abs().max().item() for p in twin.parameters()) < 1e-5


def test_labels_are_not_looked_at_when_the_teacher_has_the_whole_share(teacher, batch) -> None:
    student, (pictures, labels) = network(3).eval(), batch
    loss = Distillation(teacher, 4, 1.0)
    assert loss(student, pictures, labels) == loss(student, pictures, 9 - labels)


def test_training_changes_the_student_and_nothing_of_the_teacher(teacher, images) -> None:
    student, before = network(3), state(teacher)
    begin = state(student)
    pair = WithRegressor(student, teacher, "block", "block")
    matching = FeatureMatching(teacher, rest=Distillation(teacher))
    for model, loss in ((student, Distillation(teacher)), (pair, matching)):
        torch_training.fit(model, *images, epochs=1, rate=0.01, loss=loss, augment=True)
        assert same(state(teacher), before), "weights, averages and number of batches"
        assert all(p.grad is None for p in teacher.parameters())
        assert not teacher.training
        assert not same(state(student), begin)


def test_the_teacher_sees_the_very_pictures_that_the_student_sees(teacher, images) -> None:
    seen: dict[str, list[torch.Tensor]] = {"teacher": [], "student": []}
    student = network(3)
    for name, model in (("teacher", teacher), ("student", student)):
        model.register_forward_pre_hook(lambda _, inputs, name=name: seen[name].append(inputs[0]))
    loss = Distillation(teacher)
    torch.manual_seed(0)
    torch_training.fit(student, *images, epochs=2, rate=0.01, loss=loss, augment=True)
    assert len(seen["student"]) == 2 * 3
    assert all(map(torch.equal, seen["teacher"], seen["student"]))


def test_a_student_can_learn_without_labels(images) -> None:
    """By the teacher's scores alone it comes to agree with the teacher."""
    torch.manual_seed(0)
    teacher, student = (nn.Sequential(nn.Flatten(), nn.Linear(784, 10)) for _ in range(2))
    torch_training.fit(teacher, *images, epochs=20, rate=0.01)
    no_labels = np.zeros(len(images[0]), int)
    loss = Distillation(teacher, 2, 1.0)
    losses = torch_training.fit(student, images[0], no_labels, epochs=20, rate=0.01, loss=loss)
    assert losses[-1] < 0.3 * losses[0]
    answers = [torch_training.scores(m, images[0]).argmax(axis=1) for m in (student, teacher)]
    assert np.mean(answers[0] == answers[1]) > 0.9


def test_features_are_compared_after_the_regressor(teacher, batch) -> None:
    student, (pictures, labels) = network(3).eval(), batch
    pair = WithRegressor(student, teacher, "block", "stem").eval()
    assert pair.regressor.weight.shape == (6, 4, 1, 1)
    found = FeatureMatching(teacher, weight=2.5)(pair, pictures, labels)
    features = student[:2](pictures)  # (8, 4, 7, 7)
    weight, bias = pair.regressor.weight[:, :, 0, 0], pair.regressor.bias
    guided = torch.einsum("oc,nchw->nohw", weight, features) + bias[:, None, None]
    target = teacher[:1](pictures).reshape(8, 6, 7, 2, 7, 2).mean(dim=(3, 5))  # 14×14 → 7×7
    expected = torch_training.label_loss(student, pictures, labels)
    expected = expected + 2.5 * ((guided - target) ** 2).mean()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    found.backward()
    assert pair.regressor.weight.grad.abs().max() > 0
    assert student.stem.conv.weight.grad.abs().max() > 0
    assert all(p.grad is None for p in teacher.parameters())


def test_the_regressor_is_trained_and_can_be_left_behind(teacher, images) -> None:
    student = network(3)
    pair = WithRegressor(student, teacher, "stem", "stem")
    before = pair.regressor.weight.detach().clone()
    loss = FeatureMatching(teacher, weight=10, rest=lambda model, x, _: 0 * model(x).sum())
    losses = torch_training.fit(pair, *images, epochs=8, rate=0.02, loss=loss)
    assert losses[-1] < 0.5 * losses[0]
    assert not torch.equal(pair.regressor.weight, before)
    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(pair(x), student(x))
    assert set(student.state_dict()) == set(network(0).state_dict())


def test_building_a_pair_leaves_both_networks_as_they_were(teacher) -> None:
    student = network(3).train()
    student.stem.eval()  # a part may be frozen
    before = state(student), state(teacher)
    WithRegressor(student, teacher, "block", "block")
    assert same(before[0], state(student)) and same(before[1], state(teacher))
    assert student.training and student.block.training and not student.stem.training
    assert not any(module._forward_hooks for m in (student, teacher) for module in m.modules())


def test_hooks_are_removed_after_an_error_too(teacher) -> None:
    with pytest.raises(RuntimeError), captured(teacher, "stem"):
        teacher(torch.rand(2, 3, 28, 28))
    assert not teacher.stem._forward_hooks


def test_captured_tensors_are_the_layers_output(teacher) -> None:
    x = torch.rand(2, 1, 28, 28)
    with captured(teacher, "block.depthwise") as outputs:
        teacher(x)
        teacher(x)
    assert len(outputs) == 2
    assert torch.equal(outputs[0], teacher.block.depthwise(teacher.stem(x)))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda model: model.train(), "training mode"),
        (lambda model: model.stem.norm.train(), "training mode"),
    ],
)
def test_a_teacher_in_training_mode_is_refused(teacher, batch, spoil, message: str) -> None:
    spoil(teacher)
    before = state(teacher)
    with pytest.raises(ValueError, match=f"the teacher is in {message}.*call eval"):
        Distillation(teacher)(network(3), *batch)
    assert same(before, state(teacher))


def test_ones_own_teacher_is_refused(teacher, batch) -> None:
    shared = network(3)
    shared.stem = teacher.stem
    for student in (teacher, shared):
        with pytest.raises(ValueError, match=r"share memory .*stem\.conv\.weight"):
            Distillation(teacher)(student, *batch)


@pytest.mark.parametrize("features", [False, True])
def test_tensors_that_were_assigned_and_not_copied_are_refused(teacher, batch, features) -> None:
    student = network(3, width=6)
    student.load_state_dict(teacher.state_dict(), assign=True)
    model, loss = student, Distillation(teacher)
    if features:  # the teacher is asked by a loss of somebody's own, which checks nothing
        model = WithRegressor(student, teacher, "stem", "stem")
        rest = lambda model, x, _: (model(x) - teacher(x)).square().mean()  # noqa: E731
        loss = FeatureMatching(teacher, rest=rest)
    with pytest.raises(ValueError, match=r"share memory .*stem\.conv\.weight"):
        loss(model, *batch)
    student.load_state_dict(teacher.state_dict(), assign=True)
    only_averages = copy.deepcopy(student)
    only_averages.stem.norm.running_mean = teacher.stem.norm.running_mean
    with pytest.raises(ValueError, match=r"share memory \(stem.norm.running_mean\)"):
        Distillation(teacher)(only_averages, *batch)


def test_a_view_of_the_teachers_weights_is_refused(batch) -> None:
    teacher, student = (nn.Sequential(nn.Flatten(), nn.Linear(784, 10)) for _ in range(2))
    student[1].bias = nn.Parameter(teacher[1].weight.detach()[:, 3])
    with pytest.raises(ValueError, match=r"share memory \(1.bias\)"):
        Distillation(teacher.eval())(student, *batch)


def test_what_does_not_learn_may_be_shared(images) -> None:
    """Modules without weights and a frozen trunk: the teacher answers as it does by itself."""
    torch.manual_seed(0)
    trunk = nn.Linear(784, 30).requires_grad_(False)
    shared = nn.Flatten(), trunk, nn.ReLU(), nn.Dropout(0.5)
    teacher, student = (nn.Sequential(*shared, nn.Linear(30, 10)) for _ in range(2))
    before, begin, answers = state(teacher), state(student), []
    teacher.eval().register_forward_hook(lambda *call: answers.append(call[1:]))
    torch_training.fit(student, *images, epochs=1, rate=0.01, loss=Distillation(teacher))
    assert same(before, state(teacher)) and not same(begin, state(student))
    teacher.eval()
    for (pictures,), scores in list(answers):  # nothing was dropped
        assert torch.equal(teacher(pictures), scores)


def test_labels_that_are_no_class_are_refused_under_a_teacher_too(teacher, batch) -> None:
    with pytest.raises(ValueError, match=r"expected labels from 0 to 9, .* got the label 10"):
        Distillation(teacher)(network(3), batch[0], batch[1] + 3)


class Twice(nn.Module):
    """Calls one of its layers twice."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.idle = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.relu(self.conv(x)) - 1).flatten(1)


@pytest.mark.parametrize(("layer", "times"), [("relu", 2), ("idle", 0)])
def test_a_layer_that_is_not_computed_once_is_refused_by_name(teacher, batch, layer, times) -> None:
    message = f"'{layer}' is computed {times} times"
    student = Twice().train()
    with pytest.raises(ValueError, match=message):
        WithRegressor(student, teacher, layer, "block")
    assert student.training and student.relu.training
    pair = WithRegressor(student, teacher, "conv", "block")
    pair.layers = layer, "block"
    with pytest.raises(ValueError, match=message):
        FeatureMatching(teacher, rest=lambda model, x, _: model(x).sum())(pair, *batch)


def test_an_error_leaves_both_networks_in_their_modes(teacher) -> None:
    student = network(3).train()
    student.stem.eval()
    with pytest.raises(ValueError, match="the network does not take pictures"):
        WithRegressor(student, teacher, "block", "block", shape=(3, 28, 28))
    assert student.training and student.block.training and not student.stem.training


def test_features_of_other_pictures(batch) -> None:
    student, teacher = (
        nn.Sequential(OrderedDict(conv=nn.Conv2d(3, n, 3), flat=nn.Flatten(), out=nn.LazyLinear(5)))
        for n in (2, 4)
    )
    pictures = torch.rand(8, 3, 20, 16)
    for model in (student, teacher):
        model(pictures)
    pair = WithRegressor(student, teacher.eval(), "conv", "conv", shape=(3, 20, 16))
    assert pair.regressor.weight.shape == (4, 2, 1, 1)
    loss = FeatureMatching(teacher, rest=Distillation(teacher))(pair, pictures, batch[1] % 5)
    loss.backward()
    assert student.conv.weight.grad.abs().max() > 0


def test_bad_settings_are_refused(teacher, batch) -> None:
    for temperature in (0, -2, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="expected a positive, finite temperature"):
            Distillation(teacher, temperature)
        with pytest.raises(ValueError, match="expected a positive, finite temperature"):
            soft_loss(torch.zeros(2, 3), torch.zeros(2, 3), temperature)
    for share in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="expected a share of the soft loss from 0"):
            Distillation(teacher, 2, share)
    for weight in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="expected a weight of at least 0, finite"):
            FeatureMatching(teacher, weight)
    with pytest.raises(ValueError, match="expected a student WithRegressor, got Sequential"):
        FeatureMatching(teacher)(network(3), *batch)


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4)), ((2, 3), (3, 3)), ((3,), (3,))])
def test_scores_of_other_pictures_or_classes_are_refused(shapes) -> None:
    with pytest.raises(ValueError, match="of the same pictures and classes"):
        soft_loss(*(torch.zeros(shape) for shape in shapes), 2)


@pytest.mark.parametrize("layers", [("blocks", "block"), ("block", ""), ("block", "block9")])
def test_a_layer_that_is_not_there_is_named_with_those_that_are(teacher, layers) -> None:
    with pytest.raises(ValueError, match=r"there is no layer '(blocks|block9|)'; there are: stem"):
        WithRegressor(network(3), teacher, *layers)


@pytest.mark.parametrize("layers", [("flatten", "block"), ("block", "scores")])
def test_a_layer_without_height_and_width_is_refused(teacher, layers) -> None:
    with pytest.raises(ValueError, match=r"output has the shape \(n, channels, height, width"):
        WithRegressor(network(3), teacher, *layers)


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), temperature=TEMPERATURES)
def test_kl_div_takes_the_arguments_that_numpy_makes(seed: int, temperature: float) -> None:
    student, teacher = RANDOM(seed).normal(0, 4, (2, 5, 3))
    arguments = soft_targets.kl_div_arguments(student, teacher, temperature)
    divergence = nn.KLDivLoss(reduction="batchmean")(*map(torch.from_numpy, arguments))
    expected = soft_targets.soft_loss(student, teacher, temperature)
    assert temperature**2 * divergence.item() == pytest.approx(expected, rel=1e-6, abs=1e-9)
