"""Files of NDJSON into raw tables, some pages a transaction; files have no clock, so no watermark moves."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from opensrp_dhis2.extract.extraction import Extraction, TypeResult
from opensrp_dhis2.extract.loading import load_pages, merged
from opensrp_dhis2.fhir.ndjson import NdjsonFolder
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.raw_pages import Load, table_name


def load_folder(folder: NdjsonFolder, warehouse: Warehouse, resource_type: str, how: Extraction) -> TypeResult:
    """Load the files of one type. Raises: as `NdjsonFolder.pages` and the warehouse; loading again changes nothing."""
    started = time.monotonic()
    with warehouse.connect() as connection:
        connection.execute("select raw.ensure_table(%s)", (table_name(resource_type),))
    result = TypeResult(resource_type)
    pages, reading, adding = merged(folder.pages(resource_type)), Lock(), Lock()

    def load_next() -> bool:
        with reading:
            page = next(pages, None)
        if page is None:
            return False
        with warehouse.connect() as connection:
            load = Load(connection, resource_type, source=f"folder {folder.folder.name}")
            invalid = load_pages(connection, load, resource_type, [page], how.validate_share)
            counts = load.counts()
        with adding:
            result.add(counts, invalid)
        return True

    def load_all() -> None:
        while load_next():
            pass

    with ThreadPoolExecutor(how.threads, thread_name_prefix="load") as pool:
        for job in [pool.submit(load_all) for _ in range(how.threads)]:
            job.result()
    result.seconds = time.monotonic() - started
    return result
