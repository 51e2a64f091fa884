"""The watermark: forwards only, one a source and type."""

from datetime import UTC, datetime, timedelta

from opensrp_dhis2.warehouse import watermark
from opensrp_dhis2.warehouse.database import Warehouse

AT = datetime(2026, 11, 20, tzinfo=UTC)


def test_a_watermark_moves_forwards_only_and_belongs_to_one_source_and_type(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        assert watermark.read_to(connection, "http://a", "Flag") is None
        watermark.move(connection, "http://a", "Flag", AT)
        watermark.move(connection, "http://a", "Flag", AT - timedelta(days=1))
        assert watermark.read_to(connection, "http://a", "Flag") == AT
        assert watermark.read_to(connection, "http://b", "Flag") is None
        assert watermark.read_to(connection, "http://a", "Patient") is None


def test_a_forgotten_watermark_can_be_set_anew_to_any_time(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        watermark.move(connection, "http://a", "Flag", AT)
        watermark.forget(connection, "http://a", "Flag")
        watermark.move(connection, "http://a", "Flag", AT - timedelta(days=1))
        assert watermark.read_to(connection, "http://a", "Flag") == AT - timedelta(days=1)
