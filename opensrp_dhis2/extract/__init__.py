"""From the FHIR server into raw tables: windows by the server's clock, in slices that are proven complete.

The only room that knows both fhir/ and warehouse/; it refuses to know Dagster and the settings.
"""

from opensrp_dhis2.extract.extraction import Extraction, TypeResult
from opensrp_dhis2.extract.folder import load_folder
from opensrp_dhis2.extract.listing import Verification, verify
from opensrp_dhis2.extract.search import extract, resweep

__all__ = ["Extraction", "TypeResult", "Verification", "extract", "load_folder", "resweep", "verify"]
