//! A JSON schema without what does not concern the values that it admits: comments, the order in
//! which things were declared, and the names of Rust types.

use serde_json::{Map, Value, json};

/// Keywords for a reader, which admit and refuse nothing.
const ANNOTATIONS: [&str; 10] = [
    "$comment",
    "$id",
    "$schema",
    "deprecated",
    "description",
    "examples",
    "markdownDescription",
    "readOnly",
    "title",
    "writeOnly",
];

/// Keywords under which the schemas stand that `$ref` refers to.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// Keywords whose value is one schema.
const SCHEMA: [&str; 10] = [
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Keywords whose value is an object of schemas by name.
const SCHEMAS_BY_NAME: [&str; 3] = ["dependentSchemas", "patternProperties", "properties"];

/// Keywords whose value is a list of schemas in any order.
const SCHEMAS_IN_ANY_ORDER: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// Keywords whose value is a list in any order.
const IN_ANY_ORDER: [&str; 3] = ["enum", "required", "type"];

/// The schema in its canonical form.
pub(super) fn canonical(schema: &Value) -> Value {
    Canonical { root: schema }.of(schema, &mut Vec::new())
}

struct Canonical<'a> {
    root: &'a Value,
}

impl<'a> Canonical<'a> {
    /// `within` holds the references that lead to `schema`, the outermost first.
    fn of(&self, schema: &'a Value, within: &mut Vec<&'a str>) -> Value {
        let Value::Object(keywords) = schema else {
            return schema.clone();
        };
        let mut kept = Vec::with_capacity(keywords.len());
        for (keyword, value) in keywords {
            let name = keyword.as_str();
            if ANNOTATIONS.contains(&name) || DEFINITIONS.contains(&name) {
                continue;
            }
            let value = match value {
                Value::String(reference) if name == "$ref" => self.referred(reference, within),
                value if SCHEMA.contains(&name) => self.of(value, within),
                Value::Object(schemas) if SCHEMAS_BY_NAME.contains(&name) => {
                    let schemas = schemas.iter();
                    sorted_map(
                        schemas.map(|(name, schema)| (name.clone(), self.of(schema, within))),
                    )
                }
                Value::Array(schemas) if SCHEMAS_IN_ANY_ORDER.contains(&name) => {
                    let schemas = schemas.iter().map(|schema| self.of(schema, within));
                    let schemas = one_list_of_texts(schemas.collect());
                    Value::Array(sorted_list(schemas))
                }
                Value::Array(schemas) if name == "prefixItems" => schemas
                    .iter()
                    .map(|schema| self.of(schema, within))
                    .collect(),
                Value::Array(values) if IN_ANY_ORDER.contains(&name) => {
                    Value::Array(sorted_list(values.iter().map(sorted).collect()))
                }
                value => sorted(value),
            };
            kept.push((keyword.clone(), value));
        }
        simplified(kept)
    }

    /// The schema that a reference leads to, in its place. One that leads back into itself is
    /// told by how many references lie between.
    fn referred(&self, reference: &'a str, within: &mut Vec<&'a str>) -> Value {
        if let Some(at) = within.iter().rposition(|outer| *outer == reference) {
            return json!({"recursive": within.len() - at});
        }
        let target = reference
            .strip_prefix('#')
            .and_then(|pointer| self.root.pointer(pointer));
        let Some(target) = target else {
            return Value::String(reference.to_owned());
        };
        within.push(reference);
        let target = self.of(target, within);
        within.pop();
        target
    }
}

/// Takes away the differences between two ways to say the same: a `$ref` beside a comment and one
/// alone, a choice of one, `const` and an `enum` of one.
fn simplified(mut kept: Vec<(String, Value)>) -> Value {
    for (keyword, value) in &mut kept {
        if keyword == "const" && value.is_string() {
            *keyword = "enum".to_owned();
            *value = Value::Array(vec![value.take()]);
        }
    }
    let only = match kept.as_mut_slice() {
        [(keyword, value)] if keyword == "$ref" => Some(value.take()),
        [(keyword, Value::Array(choices))]
            if SCHEMAS_IN_ANY_ORDER.contains(&keyword.as_str()) && choices.len() == 1 =>
        {
            choices.pop()
        }
        _ => None,
    };
    only.unwrap_or_else(|| sorted_map(kept.into_iter()))
}

/// Variants of an enum without fields are one list, or one schema each where they have comments.
fn one_list_of_texts(schemas: Vec<Value>) -> Vec<Value> {
    let mut texts = Vec::new();
    let mut others = Vec::new();
    for mut schema in schemas {
        match texts_of(&mut schema) {
            Some(more) => texts.extend(more),
            None => others.push(schema),
        }
    }
    if !texts.is_empty() {
        others.push(sorted_map(
            [
                ("enum".to_owned(), Value::Array(sorted_list(texts))),
                ("type".to_owned(), json!("string")),
            ]
            .into_iter(),
        ));
    }
    others
}

fn texts_of(schema: &mut Value) -> Option<Vec<Value>> {
    let keywords = schema.as_object_mut()?;
    if keywords.len() != 2 || keywords.get("type")? != "string" {
        return None;
    }
    match keywords.get_mut("enum")?.take() {
        Value::Array(texts) => Some(texts),
        _ => None,
    }
}

/// A value with the keys of its objects in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => sorted_map(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), sorted(value))),
        ),
        Value::Array(values) => values.iter().map(sorted).collect(),
        value => value.clone(),
    }
}

fn sorted_map(fields: impl Iterator<Item = (String, Value)>) -> Value {
    let mut fields: Vec<(String, Value)> = fields.collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    Value::Object(fields.into_iter().collect::<Map<String, Value>>())
}

fn sorted_list(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_by_cached_key(Value::to_string);
    values
}
