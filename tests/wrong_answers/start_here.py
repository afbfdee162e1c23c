"""Wrong answers to the exercise of notebook 00."""

import math


def forgot_the_root(share, count):
    return share * (1 - share) / count


def forgot_the_other_share(share, count):
    return math.sqrt(share / count)


def divided_outside_the_root(share, count):
    return math.sqrt(share * (1 - share)) / count


def in_percent(share, count):
    return 100 * math.sqrt(share * (1 - share) / count)


def sample_correction(share, count):
    return math.sqrt(share * (1 - share) / max(count - 1, 1))


def rounded(share, count):
    return round(math.sqrt(share * (1 - share) / count), 3)


WRONG = {
    "standard_error": [
        forgot_the_root,
        forgot_the_other_share,
        divided_outside_the_root,
        in_percent,
        sample_correction,
        rounded,
    ]
}
