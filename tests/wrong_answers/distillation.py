"""Wrong answers to the exercises of notebook 12, each a mistake of its own."""

import numpy as np


def _softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# soften


def forgets_the_temperature(logits, temperature):
    return _softmax(logits)


def multiplies_by_the_temperature(logits, temperature):
    return _softmax(logits * temperature)


def divides_the_probabilities(logits, temperature):
    return _softmax(logits) / temperature


def sums_over_all_pictures(logits, temperature):
    e = np.exp((logits - logits.max()) / temperature)
    return e / e.sum()


def sums_over_the_pictures(logits, temperature):
    e = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    return e / e.sum(axis=0)


def overflows(logits, temperature):
    e = np.exp(logits / temperature)
    return e / e.sum(axis=1, keepdims=True)


def takes_the_root_and_forgets_the_sum(logits, temperature):
    return _softmax(logits) ** (1 / temperature)


# distillation_loss


def _soft(target, answer, t):
    p, q = _softmax(target / t), _softmax(answer / t)
    return np.mean(np.sum(p * (np.log(p) - np.log(q)), axis=1))


def _hard(student, labels, t=1.0):
    return -np.mean(np.log(_softmax(student / t)[np.arange(len(labels)), labels]))


def forgets_t_squared(student, teacher, labels, temperature, soft_share):
    soft = _soft(teacher, student, temperature)
    return soft_share * soft + (1 - soft_share) * _hard(student, labels)


def multiplies_by_t_once(student, teacher, labels, temperature, soft_share):
    soft = temperature * _soft(teacher, student, temperature)
    return soft_share * soft + (1 - soft_share) * _hard(student, labels)


def swaps_student_and_teacher(student, teacher, labels, temperature, soft_share):
    soft = temperature**2 * _soft(student, teacher, temperature)
    return soft_share * soft + (1 - soft_share) * _hard(student, labels)


def learns_from_itself(student, teacher, labels, temperature, soft_share):
    soft = temperature**2 * _soft(student, student, temperature)
    return soft_share * soft + (1 - soft_share) * _hard(student, labels)


def softens_the_labels_part_too(student, teacher, labels, temperature, soft_share):
    soft = temperature**2 * _soft(teacher, student, temperature)
    return soft_share * soft + (1 - soft_share) * _hard(student, labels, temperature)


def tests_the_teacher_on_the_labels(student, teacher, labels, temperature, soft_share):
    soft = temperature**2 * _soft(teacher, student, temperature)
    return soft_share * soft + (1 - soft_share) * _hard(teacher, labels)


def swaps_the_shares(student, teacher, labels, temperature, soft_share):
    soft = temperature**2 * _soft(teacher, student, temperature)
    return (1 - soft_share) * soft + soft_share * _hard(student, labels)


def adds_both_in_full(student, teacher, labels, temperature, soft_share):
    return temperature**2 * _soft(teacher, student, temperature) + _hard(student, labels)


def takes_the_cross_entropy(student, teacher, labels, temperature, soft_share):
    p, q = _softmax(teacher / temperature), _softmax(student / temperature)
    soft = -(temperature**2) * np.mean(np.sum(p * np.log(q), axis=1))
    return soft_share * soft + (1 - soft_share) * _hard(student, labels)


def sums_over_the_batch(student, teacher, labels, temperature, soft_share):
    soft = temperature**2 * _soft(teacher, student, temperature)
    return len(labels) * (soft_share * soft + (1 - soft_share) * _hard(student, labels))


# soft_loss_gradient


def _probabilities(student, teacher, t):
    return _softmax(teacher / t), _softmax(student / t)


def goes_uphill(student, teacher, temperature):
    p, q = _probabilities(student, teacher, temperature)
    return temperature * (p - q) / len(p)


def keeps_t_squared(student, teacher, temperature):
    p, q = _probabilities(student, teacher, temperature)
    return temperature**2 * (q - p) / len(p)


def loses_t_squared(student, teacher, temperature):
    p, q = _probabilities(student, teacher, temperature)
    return (q - p) / temperature / len(p)


def has_no_factor_at_all(student, teacher, temperature):
    p, q = _probabilities(student, teacher, temperature)
    return (q - p) / len(p)


def forgets_the_mean(student, teacher, temperature):
    p, q = _probabilities(student, teacher, temperature)
    return temperature * (q - p)


def divides_by_the_classes_too(student, teacher, temperature):
    p, q = _probabilities(student, teacher, temperature)
    return temperature * (q - p) / p.size


def compares_the_scores(student, teacher, temperature):
    return (student - teacher) / student.size


def stays_at_temperature_one(student, teacher, temperature):
    p, q = _probabilities(student, teacher, 1.0)
    return temperature * (q - p) / len(p)


# paired_interval


def _interval(mean, deviation, reach):
    return float(mean), float(deviation), float(mean - reach), float(mean + reach)


def divides_by_n(baseline, other, t):
    d = other - baseline
    return _interval(d.mean(), d.std(), t * d.std() / len(d) ** 0.5)


def treats_them_as_strangers(baseline, other, t):
    s = np.sqrt(baseline.var(ddof=1) + other.var(ddof=1))
    return _interval(np.mean(other - baseline), s, t * s / len(other) ** 0.5)


def takes_the_deviation_for_the_error(baseline, other, t):
    d = other - baseline
    return _interval(d.mean(), d.std(ddof=1), t * d.std(ddof=1))


def forgets_the_root(baseline, other, t):
    d = other - baseline
    return _interval(d.mean(), d.std(ddof=1), t * d.std(ddof=1) / len(d))


def subtracts_the_wrong_way(baseline, other, t):
    d = baseline - other
    return _interval(d.mean(), d.std(ddof=1), t * d.std(ddof=1) / len(d) ** 0.5)


def always_takes_two(baseline, other, t):
    d = other - baseline
    return _interval(d.mean(), d.std(ddof=1), 2 * d.std(ddof=1) / len(d) ** 0.5)


def takes_the_median(baseline, other, t):
    d = other - baseline
    return _interval(np.median(d), d.std(ddof=1), t * d.std(ddof=1) / len(d) ** 0.5)


def returns_the_error_as_deviation(baseline, other, t):
    d = other - baseline
    error = d.std(ddof=1) / len(d) ** 0.5
    return _interval(d.mean(), error, t * error)


# kl_div_arguments


def _softened(scores, temperature):
    powers = np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def gives_the_teacher_first(student, teacher, temperature):
    return np.log(_softened(teacher, temperature)), _softened(student, temperature)


def forgets_the_logarithm(student, teacher, temperature):
    return _softened(student, temperature), _softened(teacher, temperature)


def takes_both_logarithms(student, teacher, temperature):
    return np.log(_softened(student, temperature)), np.log(_softened(teacher, temperature))


def softens_the_teacher_only(student, teacher, temperature):
    return np.log(_softened(student, 1.0)), _softened(teacher, temperature)


def softens_the_student_only(student, teacher, temperature):
    return np.log(_softened(student, temperature)), _softened(teacher, 1.0)


def hands_over_scores(student, teacher, temperature):
    return student / temperature, teacher / temperature


def divides_the_logarithm(student, teacher, temperature):
    return np.log(_softened(student, 1.0)) / temperature, _softened(teacher, temperature)


WRONG = {
    "kl_div_arguments": [
        gives_the_teacher_first,
        forgets_the_logarithm,
        takes_both_logarithms,
        softens_the_teacher_only,
        softens_the_student_only,
        hands_over_scores,
        divides_the_logarithm,
    ],
    "soften": [
        forgets_the_temperature,
        multiplies_by_the_temperature,
        divides_the_probabilities,
        sums_over_all_pictures,
        sums_over_the_pictures,
        overflows,
        takes_the_root_and_forgets_the_sum,
    ],
    "distillation_loss": [
        forgets_t_squared,
        multiplies_by_t_once,
        swaps_student_and_teacher,
        learns_from_itself,
        softens_the_labels_part_too,
        tests_the_teacher_on_the_labels,
        swaps_the_shares,
        adds_both_in_full,
        takes_the_cross_entropy,
        sums_over_the_batch,
    ],
    "soft_loss_gradient": [
        goes_uphill,
        keeps_t_squared,
        loses_t_squared,
        has_no_factor_at_all,
        forgets_the_mean,
        divides_by_the_classes_too,
        compares_the_scores,
        stays_at_temperature_one,
    ],
    "paired_interval": [
        divides_by_n,
        treats_them_as_strangers,
        takes_the_deviation_for_the_error,
        forgets_the_root,
        subtracts_the_wrong_way,
        always_takes_two,
        takes_the_median,
        returns_the_error_as_deviation,
    ],
}
