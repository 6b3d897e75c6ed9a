"""The SQL of the interval files. The only caller is `gateway.store.intervals`."""

from __future__ import annotations

from gateway.store.interval_rows import ALL, COLUMNS

_MAYBE = frozenset({"units", "left_at", "right_at", "step_units"})
_KEY = frozenset({"meter", "gas_day", "computed_at"})
_COMPARED = tuple(name for name in COLUMNS if name not in _KEY)
FRESH = ", ".join(f"nullif({name}, -1) AS {name}" if name in _MAYBE else name for name in COLUMNS)
CHANGED = f"""
    SELECT {", ".join(f"f.{name}" for name in COLUMNS)}, (coalesce(o.revision, 0) + 1)::INTEGER AS revision
    FROM (SELECT {FRESH} FROM fresh) f LEFT JOIN newest o USING (meter, gas_day)
    WHERE o.meter IS NULL OR ({", ".join(f"f.{name}" for name in _COMPARED)})
        IS DISTINCT FROM ({", ".join(f"o.{name}" for name in _COMPARED)})
    ORDER BY f.gas_day, f.meter
"""  # noqa: S608 - our names
COUNTS_OF = """
    SELECT meter,
        bit_or(CASE WHEN status = 'measured' THEN 1::BIGINT << (gas_day - $first)::BIGINT ELSE 0::BIGINT END)
            AS measured,
        min(CASE WHEN left_at >= $begin THEN left_at WHEN right_at >= $begin THEN right_at END) AS first_read
    FROM read_parquet($files, hive_partitioning = false)
    WHERE gas_day BETWEEN $first AND $last AND hash(meter) % $parts = $part
    GROUP BY meter
"""
"""each meter with a bit for each day of the span that was measured, and when it was first read from $begin on"""
COUNTED = """
    SELECT meter, bit_or(measured) AS measured, min(first_read) AS first_read FROM ({source}) GROUP BY meter
"""
"""several such as one"""
READ_OF = """
    SELECT meter, bit_count(measured & $mask::BIGINT) AS days FROM ({source}) WHERE first_read < $end
"""


def newest(files: str) -> str:
    """Return a query for the newest revision of each meter and day between the bounds that are given with it."""
    return (
        f"SELECT {ALL} FROM read_parquet({files}, hive_partitioning = false) WHERE meter BETWEEN $low AND $high"  # noqa: S608 - our names
        " AND gas_day BETWEEN $first AND $last"
        " QUALIFY row_number() OVER (PARTITION BY meter, gas_day ORDER BY revision DESC) = 1"
    )


def nothing() -> str:
    """Return a query with the columns of `newest` and no row."""
    return f"SELECT {FRESH}, 0 AS revision FROM fresh WHERE false"  # noqa: S608 - our names
