"""Files of records: text, CSV, JSON and Parquet, and columns by other names."""
