"""The description of a live city that `gasgate simulate init` writes, with every key."""

from __future__ import annotations


def template(*, seed: int, zones: int, meters_per_zone: int) -> str:
    """Return the text of a `city.toml`."""
    return f"""# A live city for gasgate, served by `gasgate simulate live city.toml`. Nothing in it is real.
# A key that begins with "# " shows its default or an example; take the sign away to set it.

folder = "."                    # clock, state, network and secrets of the city; relative to this file

[city]
seed = {seed}                        # the same seed gives the same city
start = 2026-01-14T21:00:00Z    # the city's moment at its first start; 05:00 in China, an hour before a gas day closes
history_days = 30               # days that the city has lived before; init writes their readings for `gasgate import`
speed = 30                      # city seconds in a real second; later: gasgate simulate speed 60

[network]
kind = "streets"                # streets: drawn by seed; schutterwald: a real town's; tiles: large; files: your own
zones = {zones}                       # regulator zones
meters_per_zone = {meters_per_zone}
# flats_share = 0.0             # share of the customers in apartment houses, each a zone of its own
# folder = "my-network"         # kind "files": the folder that the gateway reads, see docs/dataset.md

[customers]
mix = "town"                    # see Customers in docs/simulator.md

[meters]
habits = "mixed"                # half_hourly, prompt, mixed or poor: see Meters and uploads in docs/simulator.md

[serve]
# address = "127.0.0.1"         # of devices and broker; they know no passwords: never in an open network
modbus_port = 15020             # first of a run of ports, one for each link
broker_port = 18830             # MQTT broker of the remote meters
control_port = 8790             # gasgate simulate inject, clear, speed, status; on 127.0.0.1 only

# What is wrong from the beginning, or will be. `gasgate simulate kinds` lists all kinds. More at any time:
# gasgate simulate inject gas_cloud REG-001 --size 30
#
# [[fault]]
# id = "a-leak"
# kind = "leak"
# asset = "R-001"
# start = 2026-01-10T00:00:00Z  # most kinds begin and end at whole hours
# end = 2026-02-01T00:00:00Z    # without it, until somebody clears it
# size = 3.0                    # base m3/h
# ramp_minutes = 0              # how long it grows
# position = 0.5                # where a leak is: 0 at the regulator, 1 at the farthest node
# detail = ""                   # what some kinds want to know besides
"""
