"""The SELECT of a view, read without a database: the relations it reads, with lines, and its columns.

It knows SQL's grammar through sqlglot; it refuses to know whether relations or columns exist.
"""

import re
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.optimizer.scope import Scope, build_scope

from opensrp_dhis2.errors import ViewContractError

_DIALECT = "postgres"


@dataclass(frozen=True)
class Query:
    """One SELECT as it stands in its file, without a closing semicolon."""

    sql: str
    reads: dict[str, int]  # schema.name -> the line that first names it
    columns: tuple[str, ...] | None  # None: a star over a table, known to the database only


def parse_query(text: str, *, path: str) -> Query:
    """Read the one SELECT of a file; lines count from the file's first.

    Raises: ViewContractError with path and line: no SQL, another statement, two of them, a relation without its schema.
    """
    try:
        statements = sqlglot.parse(text, read=_DIALECT)
        sql = _without_semicolon(text)
    except ParseError as problem:
        at = problem.errors[0] if problem.errors else {}
        raise ViewContractError(
            f"this is not SQL that can be read: {at.get('description', problem)}", path=path, line=at.get("line")
        ) from None
    except SqlglotError as problem:
        raise ViewContractError(f"this is not SQL that can be read: {problem}", path=path) from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ViewContractError("a view is exactly one SELECT: remove every other statement", path=path)
    scope = _scope(statements[0], path)
    _refuse_unqualified(scope, path)
    return Query(sql, _relations(statements[0]), _columns(scope))


def _without_semicolon(text: str) -> str:
    tokens = sqlglot.tokenize(text, read=_DIALECT)
    is_closed = tokens and tokens[-1].text == ";"
    return text[: tokens[-1].start] if is_closed else text


def _scope(statement: exp.Query, path: str) -> Scope:
    try:
        scope = build_scope(statement)
    except SqlglotError as problem:
        raise ViewContractError(f"its names are ambiguous: {problem}", path=path) from None
    if scope is None:
        raise ViewContractError("a view is exactly one SELECT", path=path)
    return scope


def _relations(statement: exp.Query) -> dict[str, int]:
    """Find what is written schema.name: a CTE or a function in FROM never is."""
    found = dict[str, int]()
    for table in statement.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier) and table.db:
            name, line = f"{table.db}.{table.name}", int(table.this.meta.get("line", 1))
            found[name] = min(line, found.get(name, line))
    return dict(sorted(found.items()))


def _refuse_unqualified(scope: Scope, path: str) -> None:
    for inner in scope.traverse():
        for source in inner.sources.values():
            if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier) and not source.db:
                raise ViewContractError(
                    f"relation {source.name} is neither a step of this file nor written schema.name: write its schema, "
                    f"for example staging.{source.name}",
                    path=path,
                    line=source.this.meta.get("line"),
                )


def _columns(scope: Scope) -> tuple[str, ...] | None:
    """List the columns, a star over a step of the same file resolved."""
    if not isinstance(scope.expression, exp.Select):
        names = tuple(scope.expression.named_selects) if isinstance(scope.expression, exp.Query) else ()
        return None if "*" in names or not names else names
    found = list[str]()
    for projection in scope.expression.selects:
        if not projection.is_star:
            found.append(projection.alias_or_name)
            continue
        table = projection.table if isinstance(projection, exp.Column) else ""
        for name, (_, source) in scope.selected_sources.items():
            if table in ("", name):
                columns = _columns(source) if isinstance(source, Scope) else None
                if columns is None:
                    return None
                found.extend(columns)
    return tuple(found)


RESOURCE_TYPES = frozenset(
    """
    Account ActivityDefinition AdverseEvent AllergyIntolerance Appointment AppointmentResponse AuditEvent Basic Binary
    BiologicallyDerivedProduct BodyStructure Bundle CapabilityStatement CarePlan CareTeam CatalogEntry ChargeItem
    ChargeItemDefinition Claim ClaimResponse ClinicalImpression CodeSystem Communication CommunicationRequest
    CompartmentDefinition Composition ConceptMap Condition Consent Contract Coverage CoverageEligibilityRequest
    CoverageEligibilityResponse DetectedIssue Device DeviceDefinition DeviceMetric DeviceRequest DeviceUseStatement
    DiagnosticReport DocumentManifest DocumentReference EffectEvidenceSynthesis Encounter Endpoint EnrollmentRequest
    EnrollmentResponse EpisodeOfCare EventDefinition Evidence EvidenceVariable ExampleScenario ExplanationOfBenefit
    FamilyMemberHistory Flag Goal GraphDefinition Group GuidanceResponse HealthcareService ImagingStudy Immunization
    ImmunizationEvaluation ImmunizationRecommendation ImplementationGuide InsurancePlan Invoice Library Linkage List
    Location Measure MeasureReport Media Medication MedicationAdministration MedicationDispense MedicationKnowledge
    MedicationRequest MedicationStatement MedicinalProduct MedicinalProductAuthorization
    MedicinalProductContraindication MedicinalProductIndication MedicinalProductIngredient
    MedicinalProductInteraction MedicinalProductManufactured MedicinalProductPackaged
    MedicinalProductPharmaceutical MedicinalProductUndesirableEffect MessageDefinition MessageHeader
    MolecularSequence NamingSystem NutritionOrder Observation ObservationDefinition OperationDefinition
    OperationOutcome Organization OrganizationAffiliation Parameters Patient PaymentNotice PaymentReconciliation Person
    PlanDefinition Practitioner PractitionerRole Procedure Provenance Questionnaire QuestionnaireResponse
    RelatedPerson RequestGroup ResearchDefinition ResearchElementDefinition ResearchStudy ResearchSubject
    RiskAssessment RiskEvidenceSynthesis Schedule SearchParameter ServiceRequest Slot Specimen SpecimenDefinition
    StructureDefinition StructureMap Subscription Substance SubstanceNucleicAcid SubstancePolymer SubstanceProtein
    SubstanceReferenceInformation SubstanceSourceMaterial SubstanceSpecification SupplyDelivery SupplyRequest Task
    TerminologyCapabilities TestReport TestScript ValueSet VerificationResult VisionPrescription
    """.split()  # noqa: SIM905 - a list of 146 strings would be longer
)
RAW_TABLES = {f"raw.{re.sub(r'(?<!^)(?=[A-Z])', '_', name).lower()}": name for name in RESOURCE_TYPES}
