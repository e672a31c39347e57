"""Simulations of the referee: does it hold what docs/statistics.md claims?"""
