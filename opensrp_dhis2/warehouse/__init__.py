"""2 WAREHOUSE: speaks Postgres, knows no server."""
