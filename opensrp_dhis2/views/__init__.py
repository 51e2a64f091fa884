"""3 INDICATORS: turns dbt_like_views/ into relations."""
