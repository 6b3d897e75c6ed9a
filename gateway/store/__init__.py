"""What gasgate keeps: spool and readings (DuckDB), state (SQLite through SQLAlchemy Core), the stream to InfluxDB."""
