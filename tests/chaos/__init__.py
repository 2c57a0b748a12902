"""The crash suite: a storm of faults over real processes, and an account of every event.

`PYTHONPATH=.:tests python -m chaos --help`. A storm has a network of its own (`network`), real
servers and Tocsin's own processes in it (`processes`, `place`), senders (`load`, `lanes`), a
target (`target`), faults by a seeded plan (`faults`), and an account at the end (`ledger`,
`report`).
"""
