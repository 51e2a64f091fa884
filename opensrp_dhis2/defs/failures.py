"""How our errors end a Dagster step: a transient one asks for a retry with back-off, any other fails it for good."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

from opensrp_dhis2.defs.resources import MAX_RETRIES, read_settings
from opensrp_dhis2.errors import OpenSrpDhis2Error


@contextmanager
def dagster_failures(retry_number: int) -> Iterator[None]:
    """Turn an error of this project into RetryRequested (transient) or Failure without retries (all others)."""
    try:
        yield
    except OpenSrpDhis2Error as error:
        if error.is_transient:
            wait = read_settings().retry_wait_seconds * 2**retry_number
            raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=wait) from error
        raise dg.Failure(str(error), allow_retries=False) from None


def raise_together(failed: Mapping[str, OpenSrpDhis2Error]) -> None:
    """Raise the errors of several types as one that names each type; transient when each of them is. None: go on."""
    if failed:
        error = OpenSrpDhis2Error("\n".join(f"{resource_type}: {one}" for resource_type, one in failed.items()))
        error.is_transient = all(each.is_transient for each in failed.values())
        raise error
