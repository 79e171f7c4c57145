"""The cohort test bed: a log of known truth, and how close to it models come, cohort by cohort."""
