"""The recipe of the answers of networks that trained with rounding, for notebook 09."""

from __future__ import annotations

QAT_SEEDS = (0, 1, 2, 3, 4)
QAT_ANSWERS = "qat_answers.npz"


def make_qat_answers() -> dict[str, bytes]:
    """Train with 4-bit weights in several ways from five seeds; return all answers in the runtime.

    Each trains the depthwise CNN on for two epochs, as notebook 09 does. An array uint8 (5, 10000)
    for each way, the answers to the test pictures:

    * "trained": with the rounding inside;
    * "frozen": likewise, but the weights stay; biases, normalisations and ranges move;
    * "real": in real numbers;
    * "real_rounded": the same, rounded to 4 bits afterwards.

    About four minutes on one core.
    """
    import copy

    import numpy as np
    import torch

    from edge_course import data, fashion_mnist
    from edge_course.networks import torch_models, torch_training
    from edge_course.quantization_aware.export import export_litert
    from edge_course.quantization_aware.network import QuantizedNetwork
    from edge_course.runtimes import litert

    model, calibration = torch_models.trained_depthwise_cnn(), fashion_mnist.calibration_images()
    train, test = fashion_mnist.load("train"), fashion_mnist.load("test")
    x_train, x_test = (fashion_mnist.preprocess(part.images) for part in (train, test))

    def rounded(network: torch.nn.Module) -> QuantizedNetwork:
        return QuantizedNetwork(network, 4).calibrate(calibration)

    def trained(network: torch.nn.Module, seed: int) -> torch.nn.Module:
        torch.manual_seed(seed)
        torch_training.fit(network, x_train, train.labels, epochs=2, rate=1e-3)
        return network

    def in_runtime(network: QuantizedNetwork) -> np.ndarray:
        return litert.Runner(export_litert(network)).predict(x_test)

    answers = {"trained": [], "frozen": [], "real": [], "real_rounded": []}
    for seed in QAT_SEEDS:
        answers["trained"].append(in_runtime(trained(rounded(model), seed)))
        frozen = rounded(model)
        for layer in frozen.layers().values():
            layer.layer.weight.requires_grad_(False)
        answers["frozen"].append(in_runtime(trained(frozen, seed)))
        real = trained(copy.deepcopy(model), seed)
        answers["real"].append(torch_training.scores(real, x_test).argmax(axis=1))
        answers["real_rounded"].append(in_runtime(rounded(real)))
    return {QAT_ANSWERS: data.npz({k: np.array(v, np.uint8) for k, v in answers.items()})}
