"""`tocsin notify`: what a notifier would make of an object, and why.

Configuration and object come from files or from a cluster; what is asked of them is answered by
the notifier's own plan and evaluator.
"""
