"""The conditions that volumes are stated at, and the usual pressure of gas at customers."""

BASE_K, BASE_KPA = 293.15, 101.325
CUSTOMER_KPA = 103.4
"""mean absolute pressure in customers' meters"""
