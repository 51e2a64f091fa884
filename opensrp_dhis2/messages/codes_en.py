"""The English sentence and remedy for every code of codes.py.

It knows words; whose job a code is and how far it reaches stand in codes.py. Another language is such a file too.
"""

_PUSH_AGAIN = "Wait for the next run: it reads DHIS2 back and sends what is missing."
_REPORT_US = "Report this defect of the pipeline, with the log of the run."
_FIX_UNIT = "Map the place to an org unit that exists in DHIS2 (place.csv, or the identifier on the Location)."
_FIX_FRONT_MATTER = "Correct the code in the front matter of the indicator, or add the object in DHIS2."
_LET_METADATA_REFRESH = "Materialise the lookup assets again; if it stays, correct the mapping."

ENGLISH_OWNERS = {
    "us": "Pipeline team",
    "mapping": "Keeper of codes and mapping",
    "DHIS2 administrator": "DHIS2 administrator",
    "data owner": "Data owner",
}

# what is left to do once it is mended: see healing.Then
ENGLISH_THEN = {
    "nothing": " Then nothing more: the next report tries again.",
    "wait": " Then nothing more: reports try again once a day for a week. Later: "
    "opensrp-dhis2 outbox requeue --code {code}.",
    "requeue": " Then: opensrp-dhis2 outbox requeue --code {code}.",
    "said": "",
}
ENGLISH_BEFORE = (" (Before 2.43: {codes}.)", " (Called {code} here.)")

ENGLISH: dict[str, tuple[str, str]] = {
    # before 2.43: the whole request
    "E7600": (
        "DHIS2 does not know the data set, or hides it from the account.",
        "Share the data set with the account.",
    ),
    "E7601": (
        "The account may not write data of this data set.",
        "Give the account data write access to the data set.",
    ),
    "E7602": ("DHIS2 wants a data set and got none.", _REPORT_US),
    "E7603": ("DHIS2 does not know the org unit of the request, or hides it from the account.", _FIX_UNIT),
    "E7604": ("DHIS2 does not know the attribute option combo of the request.", _LET_METADATA_REFRESH),
    "E7605": (
        "The data set is not complete: a compulsory field is empty.",
        "Fill the compulsory fields, or lift the rule in DHIS2.",
    ),
    # before 2.43: one value
    "E7610": ("DHIS2 does not know this data element, or hides it from the account.", _FIX_FRONT_MATTER),
    "E7611": (
        "DHIS2 did not accept the period.",
        "Push again if the period reads well: another request was just creating it. Else correct it.",
    ),
    "E7612": ("DHIS2 does not know this org unit, or hides it from the account.", _FIX_UNIT),
    "E7613": ("The category option combo does not exist or may not be written.", _LET_METADATA_REFRESH),
    "E7614": ("The account may not write one of the category options.", "Share the category option for data write."),
    "E7615": (
        "The attribute option combo does not exist or may not be written.",
        "Check attribute_options in data_sets.yaml and the sharing of the option.",
    ),
    "E7616": ("The account may not write one of the attribute options.", "Share the category option for data write."),
    "E7617": ("The org unit lies outside the account's data capture units.", "Give the account a unit above it."),
    "E7618": ("A value without content was sent.", _REPORT_US),
    "E7619": ("The value does not fit the data element's value type.", "Correct the indicator or the value type."),
    "E7620": ("The comment is too long or not allowed.", _REPORT_US),
    "E7621": ("The value is not a code of the data element's option set.", "Send option codes, not names."),
    "E7622": ("DHIS2 did not accept the value, with a code that no import is known to give.", _REPORT_US),
    "E7630": ("DHIS2 wants a category option combo and got none.", _REPORT_US),
    "E7631": ("DHIS2 wants an attribute option combo and got none.", _REPORT_US),
    "E7632": (
        "No data set of this period's type has the data element: the type is wrong, or the element left the data set.",
        "Correct period_type in data_sets.yaml, or add the element to the data set in DHIS2.",
    ),
    "E7633": (
        "The data element is not in the data set.",
        "Add it to the data set in DHIS2, or name the right data set.",
    ),
    "E7634": ("The category option combo is not one of the data element's.", _LET_METADATA_REFRESH),
    "E7635": ("The attribute option combo is not one of the data set's.", "Check attribute_options in data_sets.yaml."),
    "E7636": ("The org unit is not assigned to a data set with this element.", "Assign the unit to the data set."),
    "E7637": ("The name of the person who stored the value is too long.", _REPORT_US),
    "E7638": ("The attribute option is not valid in this period.", "Extend the option's dates, or end the reporting."),
    "E7639": ("The attribute option is not valid for this org unit.", "Assign the option to the org unit."),
    "E7640": (
        "The period is closed: its expiry days are over.",
        "Reopen the period for the unit, or accept the number.",
    ),
    "E7641": ("The period is not open yet.", "Wait for its end, or raise the open future periods of the data set."),
    "E7642": ("The data are approved already.", "Withdraw the approval, or accept the number that stands."),
    "E7643": ("The period is not open for input now.", "Open an input period of the data set, or accept the number."),
    "E7644": ("The period is no open period of the data set.", "Open the period in DHIS2, or accept the number."),
    "E7645": ("There is no file to delete.", _REPORT_US),
    # 2.43 and above: the whole request or group
    "E8000": ("All or nothing was asked for and one value was refused.", _REPORT_US),
    "E8001": ("DHIS2 could not read the PDF.", _REPORT_US),
    "E8002": ("No data set was named and the elements belong to several.", _REPORT_US),
    "E8003": ("No data set was named and these elements belong to none.", _FIX_FRONT_MATTER),
    "E8004": ("The id of the data set is malformed.", _LET_METADATA_REFRESH),
    "E8005": ("DHIS2 does not know the data set.", "Correct the code in data_sets.yaml."),
    "E8006": ("DHIS2 could not read the XML.", _REPORT_US),
    "E8007": ("DHIS2 could not read the XML.", _REPORT_US),
    "E8008": ("DHIS2 could not read the completion date.", _REPORT_US),
    "E8009": ("A completion date came without data set, org unit and period.", _REPORT_US),
    "E8010": (
        "The account may not write data of this data set.",
        "Give the account data write access to the data set.",
    ),
    "E8011": ("An org unit lies outside the account's data capture units.", "Give the account a unit above it."),
    "E8012": ("The account may not write one of the category options.", "Share the category option for data write."),
    "E8020": ("The data element is not in the data set, or one of them does not exist.", _FIX_FRONT_MATTER),
    "E8021": ("The period has another type than the data set.", "Correct period_type in data_sets.yaml."),
    "E8022": ("The org unit does not exist or is not assigned to the data set.", "Assign the unit to the data set."),
    "E8023": ("The attribute option combo is not one of the data set's.", "Check attribute_options in data_sets.yaml."),
    "E8024": ("The category option combo is not one of the data element's.", _LET_METADATA_REFRESH),
    "E8025": ("The attribute option is not valid for this org unit.", "Assign the option to the org unit."),
    "E8030": ("The period is not open: expired, not over yet, or no input period.", "Open it in DHIS2, or accept it."),
    "E8031": (
        "The org unit was not open in this period.",
        "Correct its opening or closing date, or the place's mapping.",
    ),
    "E8032": ("The attribute option is not valid in this period.", "Extend the option's dates, or end the reporting."),
    "E8033": ("The data are approved already.", "Withdraw the approval, or accept the number that stands."),
    "E8034": ("A deletion names an id that does not exist.", _LET_METADATA_REFRESH),
    "E8035": ("A deletion names a malformed id.", _REPORT_US),
    # 2.43 and above: one row stops the request
    "E8100": ("A row has no period.", _REPORT_US),
    "E8101": ("A row names options and the request no data set.", _REPORT_US),
    "E8102": ("A row has no data element.", _REPORT_US),
    "E8103": ("DHIS2 does not know this data element.", _FIX_FRONT_MATTER),
    "E8104": ("The id of the data element is malformed.", _FIX_FRONT_MATTER),
    "E8105": ("A row has no org unit.", _REPORT_US),
    "E8106": ("The id of the org unit is malformed.", _FIX_UNIT),
    "E8107": ("DHIS2 does not know this org unit.", _FIX_UNIT),
    "E8108": ("DHIS2 does not know this category option combo.", _LET_METADATA_REFRESH),
    "E8109": ("The id of the category option combo is malformed.", _LET_METADATA_REFRESH),
    "E8110": ("DHIS2 does not know this attribute option combo.", _LET_METADATA_REFRESH),
    "E8111": ("The id of the attribute option combo is malformed.", _LET_METADATA_REFRESH),
    # 2.43 and above: one value
    "E8120": ("A value without content was sent.", _REPORT_US),
    "E8121": ("The data set wants a comment where there is no value.", _REPORT_US),
    "E8122": ("The value does not fit the data element's value type.", "Correct the indicator or the value type."),
    "E8123": ("The value is not a code of the data element's option set.", "Send option codes, not names."),
    "E8124": ("The comment is not one of the allowed comments.", _REPORT_US),
    "E8125": ("The comment is longer than 5,000 characters.", _REPORT_US),
    "E8126": ("DHIS2 does not know this category combo.", _LET_METADATA_REFRESH),
    "E8127": ("The category combo has no combo of these options.", _LET_METADATA_REFRESH),
    "E8128": ("Two values of one request fall into the same cell.", _REPORT_US),
    # reading back and metadata
    "E1003": ("DHIS2 does not allow the request in this form.", _REPORT_US),
    "E1004": ("DHIS2 does not accept the object.", "Correct the object that the message names."),
    "E1005": ("DHIS2 does not have the object, or hides it from the account.", _LET_METADATA_REFRESH),
    "E1006": ("The account may not do this.", "Give the account the authority that the message names."),
    "E2001": ("A read names no data set and no data element that DHIS2 knows.", _LET_METADATA_REFRESH),
    "E2002": ("A read names no period.", _REPORT_US),
    "E2003": ("A read names periods in two ways.", _REPORT_US),
    "E2006": ("A read names no org unit that DHIS2 knows.", _LET_METADATA_REFRESH),
    "E2009": ("A read has a negative limit.", _REPORT_US),
    "E2010": ("The account may not read data of this data set.", "Give the account data read access to the data set."),
    "E2011": ("The account may not read this attribute option.", "Share the category option for data read."),
    "E2012": ("The org unit lies outside the account's data view units.", "Give the account a unit above it."),
    "E2030": ("The value does not fit the data element's value type.", "Correct the indicator or the value type."),
    "E4000": ("The object lacks a member that DHIS2 requires.", "Complete the object that the message names."),
    "E4002": ("A member of the object is too short or too long.", "Correct the member that the message names."),
    "E5003": (
        "Another object has this code or name already.",
        "Give ours another one, or remove the other; it may belong to an account that ours cannot see.",
    ),
    # without a code
    "account_disabled": (
        "The account is disabled in DHIS2.",
        "Enable the account in DHIS2's user administration, or give us another one (DHIS2_AUTH and its settings).",
    ),
    "account_locked": (
        "DHIS2 has locked the account after wrong passwords.",
        "Correct DHIS2_PASSWORD first; then unlock the account in DHIS2, or wait until the lock ends.",
    ),
    "bad_request": ("DHIS2 could not read the request.", _REPORT_US),
    "bearer_refused": (
        "DHIS2 does not accept the bearer token: it has expired, is another issuer's, or the server takes none.",
        "Renew the token of DHIS2_TOKEN or check DHIS2_TOKEN_URL; DHIS2_AUTH=pat always works.",
    ),
    "beyond_open_periods": (
        "The number changed after its period had left those that late data may still change.",
        "Raise open_periods of the data set in data_sets.yaml, or enter the number in DHIS2 by hand.",
    ),
    "completion_refused": (
        "DHIS2 did not take, or did not give up, the completion of this unit.",
        "Look in DHIS2 whether the period is locked or approved for the unit, then requeue it.",
    ),
    "counts_disagree": ("DHIS2's counters do not add up to what was sent.", _PUSH_AGAIN),
    "dry_run": ("A dry run: DHIS2 checked the value and did not store it.", "Send it without dryRun."),
    "duplicate_key": ("Two values of one request fall into the same cell; DHIS2 kept one of them.", _REPORT_US),
    "empty_reply": ("DHIS2 answered nothing.", "Check that the account may read and write the data set."),
    "flush_failed": ("DHIS2's database refused part of the request; the rest is stored.", _PUSH_AGAIN),
    "forbidden": ("The account lacks an authority.", "Give the account F_DATAVALUE_ADD."),
    "foreign_edit": (
        "Somebody changed the value in DHIS2 after we had delivered it.",
        "Agree on the right number: correct it at its source, or choose overwrite or accept in data_sets.yaml.",
    ),
    "import_failed": ("DHIS2 gave up on the import without saying what it stored.", _PUSH_AGAIN),
    "nothing_counted": ("DHIS2 calls it a success and counted nothing.", _PUSH_AGAIN),
    "not_a_summary": ("DHIS2 answered, but not with an import summary.", _PUSH_AGAIN),
    "not_json": ("Something in front of DHIS2 answered, or the answer broke off.", "Check the proxy; push again."),
    "other_strategy": ("The import strategy leaves this value alone.", _REPORT_US),
    "outside_submission_hours": (
        "The submission hours are over, and the value waits.",
        "Wait for the next submission hours, or change DHIS2_SUBMISSION_HOURS.",
    ),
    "pat_address": (
        "The personal access token may not be used from the address that the request came from.",
        "Add this machine's address, or its proxy's, to the token's allowed IP addresses, or make a new DHIS2_TOKEN.",
    ),
    "pat_expired": (
        "The personal access token has expired.",
        "Make a new token for the same account in DHIS2 and set DHIS2_TOKEN to it.",
    ),
    "pat_method": (
        "The personal access token may not be used for this HTTP method.",
        "Make a token that allows GET and POST, and DELETE for completions and PUT for routes; set DHIS2_TOKEN to it.",
    ),
    "pat_miscopied": (
        "The personal access token is not one: a letter is missing or wrong.",
        "Copy the token again, whole, into DHIS2_TOKEN or its file.",
    ),
    "pat_refused": (
        "DHIS2 does not accept the personal access token.",
        "Look at the token's restrictions in DHIS2, or make a new one and set DHIS2_TOKEN to it.",
    ),
    "pat_unknown": (
        "DHIS2 does not know the personal access token: it was deleted, or is another server's.",
        "Check DHIS2_BASE_URL; make a new token there and set DHIS2_TOKEN to it.",
    ),
    "redirected": ("DHIS2 sent us to its login page.", "Check the credentials and DHIS2_BASE_URL."),
    "request_timeout": (
        "DHIS2 took too long to answer.",
        "Look at the load of the server if it happens again; the next run reads back and sends what is missing.",
    ),
    "server_error": ("DHIS2 failed.", "Look into the server's log; the next run reads back and sends what is missing."),
    "server_silent": (
        "DHIS2 gave no usable answer several times in a row.",
        "Check that the server and its proxy run; the values wait for the next run.",
    ),
    "too_large": ("The request is too large for the proxy.", "Raise its body limit, or send fewer values a request."),
    "too_many_requests": ("The proxy asks us to slow down.", "Wait: it is sent again later."),
    "unauthorized": (
        "DHIS2 does not accept the credentials, and does not say why.",
        "Check user name and password, or the token, of DHIS2_AUTH, and in DHIS2 that the password has not expired.",
    ),
    "unexplained_rejection": ("DHIS2 rejected the value and does not say why.", _PUSH_AGAIN),
    "unknown_code": ("DHIS2 refused it with {code}, which this version does not know.", "Look the code up; report it."),
    "unquoted_member": ("A value was sent as a JSON number; this server wants text.", _REPORT_US),
    "unreadable_period": ("The period cannot be read.", "Correct the period."),
    "value_missing": (
        "DHIS2 confirmed a value of this unit, and reconcile did not find it there: the unit is not called complete.",
        "Look who deleted it, or whether DHIS2 was restored; overwrite in data_sets.yaml sends it again.",
    ),
    "value_vanished": (
        "The value is no longer counted and is to be deleted in DHIS2.",
        "Check the records if the number should stand; else let the next run delete it.",
    ),
    "write_lost": ("DHIS2 calls it a success and stored nothing.", _PUSH_AGAIN),
}
