"""cleanlab's scores of labels, for `labels.py`; runs in cleanlab's own environment.

    pip install cleanlab==2.9.0

cleanlab's licence is the AGPL: nothing of kerascnn imports it. Reads an .npz file with `features`
[N, F], `labels` [R, N] and `probabilities` [R, N, K]; writes scores of the same shape as `labels`,
the most suspicious highest: on these probabilities (`same`) and by its own cross-validation
(`own`).
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from cleanlab.classification import CleanLearning
from cleanlab.rank import get_label_quality_scores
from sklearn.preprocessing import StandardScaler


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("scores", type=Path)
    options = parser.parse_args()
    given = np.load(options.file)
    features = StandardScaler().fit_transform(given["features"])
    same, own, seconds = [], [], []
    for labels, probabilities in zip(given["labels"], given["probabilities"], strict=True):
        same.append(-get_label_quality_scores(labels, probabilities))
        start = time.process_time()
        found = CleanLearning(seed=0).find_label_issues(features, labels)
        seconds.append(time.process_time() - start)
        own.append(-found["label_quality"].to_numpy())
    np.savez(options.scores, same=same, own=own)
    print(json.dumps({"own_seconds": float(np.median(seconds))}))


if __name__ == "__main__":
    main()
