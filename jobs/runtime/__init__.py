"""Effects of the jobs: session, catalog, store, locks, ledger, fingerprints, registry."""
