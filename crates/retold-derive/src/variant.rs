//! One variant of the enum: the name and the version that it is recorded under, and what its
//! payload is made of.

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Fields, FieldsNamed, Ident, LitStr, Result, Token, Type};

/// The version of a payload's shape where none is given; as everywhere in Retold.
const VERSION_DEFAULT: &str = "1.0.0";

/// Bytes of an event type and of a version, as `retold-core` limits them; it checks them again.
const NAME_BYTES_MAX: usize = 128;

/// A variant, as it is recorded.
pub(crate) struct Variant<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) event_type: LitStr,
    pub(crate) version: LitStr,
    pub(crate) payload: Payload<'a>,
    /// `#[serde(rename_all = …)]` and the like, which say how the payload is written.
    pub(crate) attributes: Vec<&'a Attribute>,
}

/// What a payload is made of.
pub(crate) enum Payload<'a> {
    /// `Closed`: an object without members.
    Empty,
    /// `Opened(Opening)`: whatever that type is written as.
    Value(&'a Type),
    /// `Deposited { amount: u64 }`: an object.
    Object(&'a FieldsNamed),
}

impl<'a> Variant<'a> {
    /// Reads a variant.
    pub(crate) fn read(variant: &'a syn::Variant) -> Result<Variant<'a>> {
        let name = name_of(variant)?;
        let payload = match &variant.fields {
            Fields::Unit => Payload::Empty,
            Fields::Named(fields) => Payload::Object(fields),
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                Payload::Value(&fields.unnamed[0].ty)
            }
            Fields::Unnamed(_) => {
                return Err(Error::new_spanned(
                    &variant.fields,
                    "name the fields, since they are the names in the payload: \
                     `{ amount: u64, currency: String }`",
                ));
            }
        };
        let is_serde = |attribute: &&Attribute| attribute.path().is_ident("serde");
        Ok(Variant {
            ident: &variant.ident,
            event_type: name.event_type,
            version: name.version,
            payload,
            attributes: variant.attrs.iter().filter(is_serde).collect(),
        })
    }
}

/// What is in `#[event("account.opened", version = "2.0.0")]`.
struct Name {
    event_type: LitStr,
    version: LitStr,
}

impl Parse for Name {
    fn parse(input: ParseStream<'_>) -> Result<Name> {
        let event_type: LitStr = input.parse()?;
        check("event type", &event_type)?;
        if input.is_empty() {
            let version = LitStr::new(VERSION_DEFAULT, Span::call_site());
            return Ok(Name {
                event_type,
                version,
            });
        }
        input.parse::<Token![,]>()?;
        let key: Ident = input.parse()?;
        if key != "version" {
            return Err(Error::new_spanned(key, "only `version = \"…\"` follows"));
        }
        input.parse::<Token![=]>()?;
        let version: LitStr = input.parse()?;
        check("version", &version)?;
        input.parse::<Option<Token![,]>>()?;
        Ok(Name {
            event_type,
            version,
        })
    }
}

fn name_of(variant: &syn::Variant) -> Result<Name> {
    let mut names = variant
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("event"));
    let Some(attribute) = names.next() else {
        return Err(Error::new_spanned(
            &variant.ident,
            format!(
                "say under which name this event is recorded, such as \
                 `#[event(\"account.{}\")]`; the log keeps that name for ever, so it does not \
                 follow from the variant's, which may change",
                variant.ident.to_string().to_lowercase()
            ),
        ));
    };
    if let Some(again) = names.next() {
        return Err(Error::new_spanned(again, "an event has one name"));
    }
    attribute.parse_args()
}

fn check(what: &str, text: &LitStr) -> Result<()> {
    let value = text.value();
    let fault = if value.is_empty() {
        "must not be empty".to_owned()
    } else if value.len() > NAME_BYTES_MAX {
        format!("must be at most {NAME_BYTES_MAX} bytes")
    } else if value.chars().any(char::is_control) {
        "must not hold control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::new(text.span(), format!("the {what} {fault}")))
}
