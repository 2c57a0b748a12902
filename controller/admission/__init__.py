"""Admission: the API server asks here before it stores an object of ours.

What `tocsin lint` calls an error is refused, with the same words; what it warns of is told to
kubectl. Every replica answers, nothing is changed, and no object can keep the others waiting.
"""
