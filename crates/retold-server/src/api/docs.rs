//! The page that describes the API to people: made of the OpenAPI document, with no script, and
//! nothing fetched from elsewhere.

use std::fmt::Write;

use serde_json::Value;
use utoipa::openapi::OpenApi;

use super::answer::Code;

/// The page's style.
pub(crate) const STYLE: &str = include_str!("docs.css");

/// What the page may load: its own style sheet.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; frame-ancestors 'none'";

/// The page.
pub(crate) fn page(document: &OpenApi) -> String {
    let document = serde_json::to_value(document).unwrap_or_default();
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Retold: the HTTP interface</title>\n\
         <link rel=\"stylesheet\" href=\"/docs.css\">\n\
         <main>\n<h1>The HTTP interface</h1>\n<p>",
    );
    push_text(&mut page, &document["info"]["description"]);
    page.push_str(
        " For programs: <a href=\"/openapi.json\">openapi.json</a>.</p>\n\
         <h2>Calls</h2>\n",
    );
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            push_operation(&mut page, path, method, operation);
        }
    }
    page.push_str("<h2>Shapes</h2>\n");
    let schemas = document["components"]["schemas"].as_object();
    for (name, schema) in schemas.into_iter().flatten() {
        push_schema(&mut page, name, schema);
    }
    push_codes(&mut page);
    page.push_str("</main>\n</html>\n");
    page
}

fn push_operation(page: &mut String, path: &str, method: &str, operation: &Value) {
    page.push_str("<section>\n<h3><span>");
    push_escaped(page, &method.to_uppercase());
    page.push_str("</span> <code>");
    push_escaped(page, path);
    page.push_str("</code></h3>\n<p>");
    push_text(page, &operation["summary"]);
    page.push_str("</p>\n");
    if operation["description"].is_string() {
        page.push_str("<p>");
        push_text(page, &operation["description"]);
        page.push_str("</p>\n");
    }
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let mut parameters = parameters.peekable();
    if parameters.peek().is_some() {
        page.push_str("<dl>\n");
        for parameter in parameters {
            page.push_str("<dt><code>");
            push_text(page, &parameter["name"]);
            page.push_str("</code> <small>");
            push_text(page, &parameter["in"]);
            page.push_str("</small></dt><dd>");
            push_text(page, &parameter["description"]);
            page.push_str("</dd>\n");
        }
        page.push_str("</dl>\n");
    }
    push_contents(page, "Body", &operation["requestBody"]["content"]);
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        if status.starts_with('2') {
            push_contents(page, status, &response["content"]);
        }
    }
    page.push_str("</section>\n");
}

fn push_contents(page: &mut String, label: &str, contents: &Value) {
    for (media_type, content) in contents.as_object().into_iter().flatten() {
        page.push_str("<p><b>");
        push_escaped(page, label);
        page.push_str("</b> <code>");
        push_escaped(page, media_type);
        page.push_str("</code> ");
        push_kind(page, &content["schema"]);
        page.push_str("</p>\n");
    }
}

fn push_schema(page: &mut String, name: &str, schema: &Value) {
    page.push_str("<section id=\"");
    push_escaped(page, name);
    page.push_str("\">\n<h3><code>");
    push_escaped(page, name);
    page.push_str("</code></h3>\n<p>");
    push_text(page, &schema["description"]);
    page.push_str("</p>\n<dl>\n");
    for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
        page.push_str("<dt><code>");
        push_escaped(page, field);
        page.push_str("</code> <small>");
        push_kind(page, schema);
        page.push_str("</small></dt><dd>");
        push_text(page, &schema["description"]);
        page.push_str("</dd>\n");
    }
    page.push_str("</dl>\n</section>\n");
}

/// What a value is, with a link where it is a shape of its own.
fn push_kind(page: &mut String, schema: &Value) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        page.push_str("<a href=\"#");
        push_escaped(page, name);
        page.push_str("\">");
        push_escaped(page, name);
        page.push_str("</a>");
        return;
    }
    let variants = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
    if let Some(variants) = variants {
        for (nth, variant) in variants.iter().enumerate() {
            if nth > 0 {
                page.push_str(" or ");
            }
            push_kind(page, variant);
        }
        return;
    }
    match &schema["type"] {
        Value::Array(kinds) => {
            let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
            push_escaped(page, &kinds.join(" or "));
        }
        kind => push_text(page, kind),
    }
    if schema["items"].is_object() {
        page.push_str(" of ");
        push_kind(page, &schema["items"]);
    }
}

fn push_codes(page: &mut String) {
    page.push_str("<h2>Problems</h2>\n<p>Every error is <code>application/problem+json</code> (RFC 9457).</p>\n<dl>\n");
    for code in Code::ALL {
        let (name, status) = (code.name(), code.status().as_u16());
        let _ = write!(
            page,
            "<dt id=\"{name}\"><code>{name}</code> {status}</dt><dd>"
        );
        push_escaped(page, code.title());
        if let Some(hint) = code.hint() {
            page.push_str(": ");
            push_escaped(page, hint);
        }
        page.push_str("</dd>\n");
    }
    page.push_str("</dl>\n");
}

fn push_text(page: &mut String, value: &Value) {
    push_escaped(page, value.as_str().unwrap_or_default());
}

fn push_escaped(page: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            _ => page.push(character),
        }
    }
}
