"""A platform that breaks on purpose: the faulty server, the table of faults, and what judges the SDK by it.

Nothing in here imports seekapi's codec: one bug must not hide in both ends.
"""
