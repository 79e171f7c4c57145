"""What `make dist` makes: a wheel, a zip for `--py-files`, an environment for `--archives`."""
