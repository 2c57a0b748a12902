"""What everything stands on, and stands on nothing of ours."""

__version__ = "0.1.0"
