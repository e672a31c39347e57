"""How sure a mean difference over seeds is: variances pooled over the candidates of a step, and the share of the images.

A variance over five seeds is a poor guess. Each candidate's own is drawn towards the mean of all, the more the more alike they are: the moderated variance
of G. Smyth, "Linear models and empirical Bayes methods for assessing differential expression", Statistical Applications in Genetics and Molecular
Biology 3, 2004. Two things differ, for a step has few candidates and all are compared with one start (docs/statistics.md says what each is worth):
the pooled degrees of freedom heed that the differences share the start's noise, and no more than two candidates' worth is borrowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rung.study.measured import Floats

_BORROWED: Final = 2  # times the degrees of freedom of a whole candidate; more is false where one candidate is noisier than the rest
_SHARED: Final = 0.25  # squared correlation of two differences to one start, where all are alike; used where seeds are too few to estimate it
_LEAST: Final = 0.01  # share of the mean variance below which a variance is no smaller in the estimate of how alike they are (coarse scores give 0)
# Images that turn right and wrong by themselves, seed by seed, make a variance over seeds of their own. Less than half of it is sooner a lucky estimate of few
# seeds, or a coarse score, than the truth. The whole of it made intervals too wide where nothing else varies (five seeds: 99 % for 95 %).
_SCATTER: Final = 0.5


@dataclass(frozen=True)
class Pool:
    """What the candidates of a step know together: their mean variance, for how many degrees of freedom it counts beside one's own, and at most."""

    variance: float
    prior: float
    most: float

    def moderated(self, variance: float, freedom: float) -> tuple[float, float]:
        """Return a variance of `freedom` degrees of freedom drawn to the pool's, and its degrees of freedom."""
        whole = self.prior + freedom
        return (self.prior * self.variance + freedom * variance) / whole, max(min(whole, self.most), freedom)


def pool(differences: Floats) -> Pool:
    """Return the pool of differences (m, n) to one start, one row a candidate, one column a seed, NaN where a candidate was not run.

    At least one row must have two seeds; the others know nothing.
    """
    there = ~np.isnan(differences)
    differences, there = differences[there.sum(axis=1) > 1], there[there.sum(axis=1) > 1]
    freedom = there.sum(axis=1) - 1.0
    variances = np.nanvar(differences, axis=1, ddof=1)
    mean = float(freedom @ variances / freedom.sum())
    if len(variances) == 1 or mean == 0:
        return Pool(mean, float(freedom.max()), float(freedom.max()))
    most = _pooled_freedom(np.where(there, differences, 0.0), there, freedom)
    return Pool(mean, min(_prior_freedom(variances, freedom), _BORROWED * float(freedom.max())), most)


def expected_freedom(seeds: int, candidates: int) -> float:
    """Return the degrees of freedom of a step whose networks are all equally noisy."""
    own = seeds - 1
    return max(own, min((1 + _BORROWED) * own, candidates * own / (1 + (candidates - 1) * _SHARED)))


def _pooled_freedom(differences: Floats, there: npt.NDArray[np.bool_], freedom: Floats) -> float:
    """Return the degrees of freedom of the mean variance: (sum of d_j s_jj)^2 / sum of min(d_j, d_k) s_jk^2, each product without its bias.

    Were all independent, it would be the sum of the degrees of freedom; were the start all that is noisy, those of one candidate. The unbiased
    products: M. Srivastava, "Some tests concerning the covariance matrix in high dimensional data", Journal of the Japan Statistical Society 35, 2005.
    """
    both = there[:, None] & there[None]
    count = both.sum(axis=2)
    rows = np.where(both, differences[:, None], 0.0)  # (m, m, n): row j on the seeds that k has too
    centred = np.where(both, rows - rows.sum(axis=2, keepdims=True) / np.maximum(count, 1)[..., None], 0.0)
    d = np.maximum(count - 1.0, 1.0)
    covariance = (centred * centred.transpose(1, 0, 2)).sum(axis=2) / d
    own = (centred**2).sum(axis=2) / d
    squared, product = covariance**2, own * own.T
    scale = np.maximum(d - 1, 1.0) * (d + 2)
    pairs = np.where(d > 1, d**2 / scale * (squared - product / d), _SHARED * product / (1 + 2 * _SHARED))
    products = np.where(d > 1, d / scale * ((d + 1) * product - 2 * squared), product / (1 + 2 * _SHARED))
    alone = np.diag(own) ** 2 * freedom / (freedom + 2)
    np.fill_diagonal(pairs, alone)
    np.fill_diagonal(products, alone)
    below = float((np.minimum(freedom[:, None], freedom) * pairs).sum())
    above = float(freedom @ products @ freedom)
    highest, lowest = float(freedom.sum()), float(freedom.max())
    return highest if below <= 0 else min(max(above / below, lowest), highest)


def _prior_freedom(variances: Floats, freedom: Floats) -> float:
    """Return Smyth's d0: for how many degrees of freedom the mean counts, from how much the logarithms spread beyond chance; infinite where they do not."""
    from scipy.special import digamma, polygamma

    logs = np.log(np.maximum(variances, _LEAST * variances.mean())) - digamma(freedom / 2) + np.log(freedom / 2)
    excess = float(logs.var(ddof=1) - (1 - _SHARED) * polygamma(1, freedom / 2).mean())
    return 2 * _trigamma_inverse(excess) if excess > 1e-6 else np.inf


def _trigamma_inverse(value: float) -> float:
    """Return x > 0 with trigamma(x) = value > 0, by Newton's method on 1 / trigamma (Smyth 2004, appendix)."""
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        change = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += change
        if abs(change) < 1e-10 * x:
            break
    return x


@dataclass(frozen=True)
class ImageShare:
    """What the images add to the variance of a mean difference, and the least that the seeds must have.

    added: to the variance of the mean. least: the variance over seeds of a mean over these images is not taken for smaller. uncertainty: sum of squares over
    degrees of freedom of `added`, for Satterthwaite's rule.
    """

    added: float
    least: float
    uncertainty: float

    def with_seeds(self, of_seeds: float, freedom: float) -> tuple[float, float]:
        """Return the variance of the mean and its degrees of freedom by Satterthwaite's rule; of_seeds: the seeds' share, of so many degrees of freedom.

        One of them must be above 0.
        """
        variance = of_seeds + self.added
        return variance, variance**2 / (of_seeds**2 / freedom + self.uncertainty)


def image_share(differences: Floats) -> ImageShare:
    """Return the share of the images from differences (n, N), seeds crossed with images.

    The two-way layout without repeats: the variance of the grand mean is (MS_seeds + MS_images - MS_rest) / (nN), of which MS_seeds / (nN) is the variance
    over seeds. (S. Searle, G. Casella, C. McCulloch, "Variance components", 1992, chapter 4.) One seed: images alone.
    """
    n, count = differences.shape
    of_images = differences.mean(axis=0)
    images = float(n * of_images.var(ddof=1)) if count > 1 else 0.0
    if n == 1 or count == 1:
        return ImageShare(images / (n * count), 0.0, (images / (n * count)) ** 2 / max(count - 1, 1))
    rest = float(((differences - differences.mean(axis=1, keepdims=True) - of_images + of_images.mean()) ** 2).sum() / ((n - 1) * (count - 1)))
    uncertainty = (images**2 / (count - 1) + rest**2 / ((count - 1) * (n - 1))) / (n * count) ** 2
    return ImageShare(max(images - rest, 0.0) / (n * count), _SCATTER * rest / count, uncertainty)
