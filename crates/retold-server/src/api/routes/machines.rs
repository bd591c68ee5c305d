//! The state machines: seeing them and adding them.

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use retold::{Error, Machine};
use serde::Serialize;

use crate::App;
use crate::api::answer::{Problem, json, written};
use crate::api::limits::MACHINE_BODY_BYTES_MAX;
use crate::api::request::{AsJson, Form, NoParameters, SentToml, accept, path_text, read, text};
use crate::api::schema;

/// The aggregate type that a path names.
pub(crate) struct NamedType(String);

impl<S: Send + Sync> FromRequestParts<S> for NamedType {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let name = path_text(parts, state, "aggregateType").await?;
        // Any id serves to check the form of a type.
        retold::StreamId::new(name.clone(), "id")?;
        Ok(NamedType(name))
    }
}

#[derive(Serialize)]
struct List<'a> {
    machines: Vec<&'a Machine>,
}

/// Lists all machines, by aggregate type.
#[utoipa::path(
    get,
    path = "/v1/machines",
    tag = "machines",
    responses((status = 200, description = "The machines.", body = schema::MachinesBody)),
)]
pub(crate) async fn list_machines(
    State(app): State<App>,
    _: AsJson,
    _: NoParameters,
) -> Result<Response, Problem> {
    let machines = app.retold().machines().list();
    let list = List {
        machines: machines.iter().map(AsRef::as_ref).collect(),
    };
    json(StatusCode::OK, &list)
}

/// The machine of an aggregate type, as JSON or as the TOML file that it was read from.
#[utoipa::path(
    get,
    path = "/v1/machines/{aggregateType}",
    tag = "machines",
    params(schema::TypePath),
    responses(
        (status = 200, description = "The machine.",
            content(
                (schema::MachineBody = "application/json"),
                (String = "application/toml"),
            )),
    ),
)]
pub(crate) async fn read_machine(
    State(app): State<App>,
    NamedType(aggregate_type): NamedType,
    _: NoParameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let form = accept(&headers, &[Form::Json, Form::Toml])?;
    let machine = app.retold().machines().get(&aggregate_type);
    let machine = machine.ok_or(Error::UnknownMachine { aggregate_type })?;
    if form == Form::Json {
        return json(StatusCode::OK, &*machine);
    }
    let mut response = machine.toml().to_owned().into_response();
    let media_type = HeaderValue::from_static("application/toml");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type);
    Ok(response)
}

/// Adds a machine, or a new version of one, which takes effect for new transitions only.
#[utoipa::path(
    put,
    path = "/v1/machines/{aggregateType}",
    tag = "machines",
    params(schema::TypePath),
    request_body(content = String, content_type = "application/toml"),
    responses(
        (status = 201, description = "The type had no machine before.", body = schema::MachineBody),
        (status = 200, description = "A new version.", body = schema::MachineBody),
    ),
)]
pub(crate) async fn add_machine(
    _: SentToml,
    State(app): State<App>,
    NamedType(aggregate_type): NamedType,
    _: NoParameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = read(&headers, body, MACHINE_BODY_BYTES_MAX).await?;
    let machine = Machine::from_toml(text(&body)?).map_err(Error::from)?;
    if machine.aggregate_type() != aggregate_type {
        let reason = format!("must be that of the path, {aggregate_type}");
        return Err(Problem::invalid("type", reason));
    }
    let added = app.retold().machines().add(machine).await?;
    json(written(added.is_new), &*added.machine)
}
