"""Records, content addresses, the journal, the Parquet lake and the DuckDB catalog. Imports nothing else of stillhouse."""
