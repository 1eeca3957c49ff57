"""From rows to forecasts: features, windows, folds, networks, ablation, verdict, report."""
