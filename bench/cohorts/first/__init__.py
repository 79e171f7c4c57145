"""The first comparisons on data of known truth: sigma = 0, equal base rates, one table."""
