/*---
description: The answers of forms, nested items flattened, without free text.
grain: one row per answer of a QuestionnaireResponse, in the order of the form, counted from 0
source: https://hl7.org/fhir/R4/questionnaireresponse.html
key: questionnaire_response_id
indexes: [[link_id]]
tests:
  not_null: [questionnaire_response_id, ordinal, link_id]
  unique: [[questionnaire_response_id, ordinal]]
---*/
with response as (
  select * from raw.questionnaire_response where not is_deleted
)

select
  response.id as questionnaire_response_id,
  answer.ordinal,
  answer.link_id,
  answer.content -> 'valueBoolean' = 'true' as is_value_true,
  coalesce(
    fhir.number(answer.content -> 'valueInteger'), fhir.number(answer.content -> 'valueDecimal'),
    fhir.number(answer.content #> '{valueQuantity,value}')
  ) as value,
  fhir.local_date(coalesce(answer.content ->> 'valueDate', answer.content ->> 'valueDateTime')) as value_on,
  fhir.codes(answer.content -> 'valueCoding') as value_codes,
  answer.content #>> '{valueReference,reference}' as value_reference
from response
cross join lateral (
  -- items nest in items and in answers; the path keeps the order of the form
  with recursive item as (
    select
      top.content,
      array[top.position] as path
    from jsonb_path_query(response.resource, 'lax $.item[*]') with ordinality as top (content, position)
    union all
    select
      child.content,
      item.path || child.path
    from item
    cross join lateral (
      select
        nested.content,
        array[0, nested.position] as path
      from jsonb_path_query(item.content, 'lax $.item[*]') with ordinality as nested (content, position)
      union all
      select
        nested.content,
        array[reply.position, nested.position] as path
      from jsonb_path_query(item.content, 'lax $.answer[*]') with ordinality as reply (content, position)
      cross join lateral jsonb_path_query(reply.content, 'lax $.item[*]')
        with ordinality as nested (content, position)
    ) as child
  )

  select
    item.content ->> 'linkId' as link_id,
    reply.content,
    row_number() over (order by item.path, reply.position)::integer - 1 as ordinal
  from item
  cross join lateral jsonb_path_query(item.content, 'lax $.answer[*]') with ordinality as reply (content, position)
) as answer
