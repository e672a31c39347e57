"""The 1,797 handwritten digits that scikit-learn carries: 8 x 8, grey, no test part of their own.

E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI machine learning repository, 1998.
"""

from __future__ import annotations

import numpy as np

from rung.data.found import Found


def read() -> Found:
    """Return the digits; their values 0..16 become round(v * 255 / 16)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    count = len(bunch.target)
    return Found(
        name="digits",
        official=True,
        images=np.rint(bunch.images * 255 / 16).astype(np.uint8)[..., None],
        labels=bunch.target.astype(np.int64),
        classes=tuple(str(d) for d in range(10)),
        sources=[f"digits#{row}" for row in range(count)],
        parts=np.zeros(count, np.int8),
        roots=np.zeros(count, np.int64),
        root_names=("digits",),
    )
