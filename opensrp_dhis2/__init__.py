"""Carry totals from OpenSRP 2 (FHIR R4) to DHIS2: no number lost, sent twice, or silently changed.

What others may import is listed in docs/public-surface.md: these names, `definitions.defs` and the errors of `errors`.
"""

from opensrp_dhis2.errors import OpenSrpDhis2Error
from opensrp_dhis2.settings import Settings

__all__ = ["OpenSrpDhis2Error", "Settings"]
