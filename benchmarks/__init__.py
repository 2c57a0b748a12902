"""Measurements of the whole path on real parts, each beside a bare loop in the same run."""
