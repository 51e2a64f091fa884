"""The connection: one transaction each, a lock that makes the second run wait, and errors that say what to do."""

from threading import Thread

import pytest

from opensrp_dhis2.errors import ConfigurationError, WarehouseError, WarehouseUnavailableError
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.sql import rows


def test_an_error_rolls_back_and_the_connection_serves_again(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="DivisionByZero"), warehouse.connect() as connection:
        connection.execute("insert into raw.watermark values ('s', 'Patient', now() + interval '1 s' / 0)")
    assert rows(warehouse, "select count(*) from raw.watermark") == [(0,)]


def test_an_interrupt_rolls_back_too(warehouse: Warehouse) -> None:
    def interrupted() -> None:
        with warehouse.connect() as connection:
            connection.execute("insert into raw.watermark values ('s', 'Patient', now())")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert rows(warehouse, "select count(*) from raw.watermark") == [(0,)]


def test_a_lock_that_another_run_holds_is_waited_for_and_then_given_up(warehouse: Warehouse) -> None:
    with (
        warehouse.lock("dhis2"),
        pytest.raises(WarehouseUnavailableError, match="'dhis2'"),
        warehouse.lock("dhis2", wait_seconds=1),
    ):
        pass
    with warehouse.lock("dhis2", wait_seconds=1), warehouse.lock("another", wait_seconds=1):
        pass


def test_the_second_run_goes_on_when_the_first_has_ended(warehouse: Warehouse) -> None:
    order: list[str] = []

    def second() -> None:
        with warehouse.lock("dhis2", wait_seconds=20):
            order.append("second")

    with warehouse.lock("dhis2"):
        waiting = Thread(target=second)
        waiting.start()
        order.append("first")
    waiting.join(20)
    assert order == ["first", "second"]


@pytest.mark.parametrize("url", ["not a url", "mysql://host/db"])
def test_a_url_that_is_no_postgres_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(ConfigurationError, match="WAREHOUSE_URL"):
        Warehouse(url)


@pytest.mark.parametrize("password", ["Hunt@er2", "Hu@n/ter2", "Hu@er2:5/nt"])
def test_a_url_whose_password_is_not_encoded_is_refused_and_not_shown(password: str) -> None:
    with pytest.raises(ConfigurationError, match="WAREHOUSE_URL cannot be taken apart: percent-encode") as error:
        Warehouse(f"postgresql+psycopg://user:{password}@127.0.0.1/nothing")
    assert not any(part in str(error.value) for part in ("Hu", "er2"))


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://user:hunter2@127.0.0.1:9/nothing",
            "postgresql+psycopg://127.0.0.1:9/nothing?password=hunter2"],
)  # fmt: skip
def test_a_server_that_is_not_there_is_told_without_the_password(url: str) -> None:
    warehouse = Warehouse(url)
    with pytest.raises(WarehouseUnavailableError, match=r"127\.0\.0\.1:9") as error, warehouse.connect():
        pass
    assert "hunter2" not in str(error.value)
    assert error.value.is_transient
