"""How much each of many forecasts counts in one answer, and what averaging can give at most.

A forecast is wrong by some error; C is the matrix of the means of products of errors, (nodes,
nodes), measured on days that no model was fitted to. Weights w that sum to 1 give an answer whose
mean squared error is wᵀ C w. Bates and Granger (1969), "The Combination of Forecasts".
"""

from __future__ import annotations

import numpy as np


def error_products(forecasts: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return C, the means of the products of errors of two nodes each.

    Parameters
    ----------
    forecasts : real numbers, (t, nodes).
    target : what was right, (t,).

    Returns
    -------
    np.ndarray
        float64, (nodes, nodes), symmetric; its diagonal holds the mean squared errors.

    Raises
    ------
    ValueError
        If the shapes do not fit, or something is not finite.

    Taught in: notebooks/16_many_nodes_one_answer.ipynb
    """
    forecasts, target = np.asarray(forecasts, float), np.asarray(target, float)
    if forecasts.ndim != 2 or target.shape != forecasts.shape[:1] or not forecasts.size:
        raise ValueError(
            f"expected forecasts (t, nodes) and a target (t,), got {forecasts.shape} and "
            f"{target.shape}"
        )
    errors = forecasts - target[:, np.newaxis]
    if not np.isfinite(errors).all():
        raise ValueError("expected finite forecasts and targets, got NaN or infinity")
    return errors.T @ errors / len(errors)


def inverse_variance(products: np.ndarray) -> np.ndarray:
    """Return weights by the mean squared errors alone: wᵢ = (1 / Cᵢᵢ) / Σⱼ (1 / Cⱼⱼ).

    The best there is if the errors of two nodes never have anything to do with each other.

    Parameters
    ----------
    products : C, (nodes, nodes), see `error_products`.

    Returns
    -------
    np.ndarray
        float64, (nodes,), sum 1.

    Raises
    ------
    ValueError
        If C is no such matrix.

    Taught in: notebooks/16_many_nodes_one_answer.ipynb
    """
    inverse = 1 / np.diag(_products(products))
    return inverse / inverse.sum()


def minimum_variance(products: np.ndarray) -> np.ndarray:
    """Return the weights of the smallest mean squared error wᵀ C w: w = C⁻¹ 1 / (1ᵀ C⁻¹ 1).

    With a Lagrange multiplier for Σ wᵢ = 1 the gradient is 2 C w − λ 1 = 0, so w is C⁻¹ 1 up to a
    factor, and the sum fixes the factor. A weight may be negative.

    Parameters
    ----------
    products : C, (nodes, nodes), see `error_products`; of the nodes that are there.

    Returns
    -------
    np.ndarray
        float64, (nodes,), sum 1.

    Raises
    ------
    ValueError
        If C is no such matrix, or cannot be inverted: a forecast follows from the others.

    Taught in: notebooks/16_many_nodes_one_answer.ipynb
    """
    products = _products(products)
    if np.linalg.cond(products) > 1e12:
        raise ValueError(
            "the errors of one node follow from those of others: leave it out, or measure C on "
            "more steps than there are nodes"
        )
    solved = np.linalg.solve(products, np.ones(len(products)))
    return solved / solved.sum()


def error_of_the_mean(variance: float, correlation: float, nodes: int) -> float:
    """Return the mean squared error of the mean of forecasts that are equally good.

    σ² (ρ + (1 − ρ) / n): what is common to all errors, σ² ρ, stays however many nodes there are.

    Parameters
    ----------
    variance : σ², the mean squared error of each node.
    correlation : ρ, between the errors of two nodes, from 0 to 1.
    nodes : n, at least 1.

    Raises
    ------
    ValueError
        If a number is outside its range.

    Taught in: notebooks/16_many_nodes_one_answer.ipynb
    """
    if variance < 0 or not 0 <= correlation <= 1 or nodes < 1:
        raise ValueError(
            "expected a variance from 0, a correlation from 0 to 1 and at least one node, got "
            f"{variance}, {correlation} and {nodes}"
        )
    return variance * (correlation + (1 - correlation) / nodes)


def mean_correlation(products: np.ndarray) -> float:
    """Return ρ, the mean of Cᵢⱼ / √(Cᵢᵢ Cⱼⱼ) over all pairs of two nodes.

    Parameters
    ----------
    products : C of at least two nodes, see `error_products`.

    Raises
    ------
    ValueError
        If C is no such matrix.

    Taught in: notebooks/16_many_nodes_one_answer.ipynb
    """
    products = _products(products)
    if len(products) < 2:
        raise ValueError("expected at least two nodes, got one")
    size = np.sqrt(np.diag(products))
    correlations = products / np.outer(size, size)
    return float(correlations[~np.eye(len(products), dtype=bool)].mean())


def _products(products: np.ndarray) -> np.ndarray:
    products = np.asarray(products, float)
    square = products.ndim == 2 and products.shape[0] == products.shape[1] and products.size
    if not square or not np.isfinite(products).all() or not np.allclose(products, products.T):
        raise ValueError(
            f"expected a symmetric matrix (nodes, nodes) of finite numbers, got {products.shape}"
        )
    if not (np.diag(products) > 0).all():
        raise ValueError("expected mean squared errors above 0 on the diagonal")
    return products
