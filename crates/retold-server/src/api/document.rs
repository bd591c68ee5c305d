//! The OpenAPI document: what the routes say of themselves, and what holds for all of them.

use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{
    Content, Header, InfoBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
};

use super::answer::Code;
use super::schema::ProblemBody;

/// Schemas that refuse what they do not name.
const STRICT: [&str; 16] = [
    "NewEvent",
    "NewEvents",
    "AppendTogether",
    "StreamEvent",
    "Check",
    "Transition",
    "MakeSnapshot",
    "ConsumerSettings",
    "ConsumerFilter",
    "Webhook",
    "Fetch",
    "Acknowledge",
    "Reject",
    "Pause",
    "Skip",
    "Reset",
];

/// Operations whose body may be left out.
const BODY_OPTIONAL: [&str; 1] = ["make_snapshot"];

/// Adds to every operation the problems that it may answer with, and says what the API is.
pub(crate) fn finish(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Retold")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The state of long-lived things as the events that happened to them: append, \
             transition, and the state as it was at any moment.",
        ))
        .build();
    let components = document.components.get_or_insert_default();
    let mut schemas = Vec::new();
    ProblemBody::schemas(&mut schemas);
    schemas.push((ProblemBody::name().into_owned(), ProblemBody::schema()));
    for (name, schema) in schemas {
        components.schemas.entry(name).or_insert(schema);
    }
    for name in STRICT {
        if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(name) {
            let refused = AdditionalProperties::FreeForm(false);
            object.additional_properties = Some(Box::new(refused));
        }
    }
    let items = document.paths.paths.values_mut();
    let operations = items.flat_map(|item| {
        [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
        ]
    });
    for operation in operations.flatten() {
        let is_optional = operation
            .operation_id
            .as_ref()
            .is_some_and(|id| BODY_OPTIONAL.contains(&id.as_str()));
        if let Some(RefOr::T(body)) = operation.request_body.as_mut().filter(|_| is_optional) {
            body.required = Some(Required::False);
        }
        for &code in Code::ALL {
            let status = code.status().as_u16().to_string();
            let responses = &mut operation.responses.responses;
            responses
                .entry(status)
                .or_insert_with(|| RefOr::T(problem(code)));
        }
    }
    document
}

/// The problem of a code, and of all codes with its status.
fn problem(code: Code) -> Response {
    let same = Code::ALL.iter().filter(|c| c.status() == code.status());
    let names: Vec<String> = same
        .map(|c| format!("`{}`: {}", c.name(), c.title()))
        .collect();
    let schema = Ref::from_schema_name(ProblemBody::name());
    let response = ResponseBuilder::new()
        .description(names.join("; "))
        .content("application/problem+json", Content::new(Some(schema)));
    match code.is_passing() {
        true => response.header("Retry-After", Header::default()).build(),
        false => response.build(),
    }
}
