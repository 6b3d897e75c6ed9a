"""The engine of the simulated city: from what customers burn to what registers and instruments show.

`plan` says what does not change, `block` computes days, `shut` what happens while a regulator is closed, `mains` the
levels above the regulators, `instruments` what stations show. `simulators.city` is the face of it all.
"""
