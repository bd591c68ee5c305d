//! Writes the implementation of `Event` for an enum. Each variant gets a struct of its own with
//! the same fields, which serde writes and reads: so the payload never holds the variant's name.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Error, Ident, Meta, Result, Token};

use crate::variant::{Payload, Variant};

/// The implementation, or the errors beside one that keeps the compiler from adding its own.
pub(crate) fn expand(input: &DeriveInput) -> TokenStream {
    implementation(input).unwrap_or_else(|error| {
        let errors = error.into_compile_error();
        let ident = &input.ident;
        let (generics, arguments, conditions) = input.generics.split_for_impl();
        quote! {
            #errors
            impl #generics ::retold::Event for #ident #arguments #conditions {
                const KINDS: &'static [::retold::EventKind] = &[];
                fn kind(&self) -> &'static ::retold::EventKind { ::std::unreachable!() }
                fn into_payload(
                    self,
                ) -> ::std::result::Result<::retold::Json, ::retold::JsonError> {
                    ::std::unreachable!()
                }
                fn from_payload(
                    _: &str,
                    _: &::retold::Json,
                ) -> ::std::result::Result<::std::option::Option<Self>, ::retold::JsonError> {
                    ::std::unreachable!()
                }
                fn shapes() -> ::std::vec::Vec<::retold::EventShape> {
                    ::std::unreachable!()
                }
            }
        }
    })
}

fn implementation(input: &DeriveInput) -> Result<TokenStream> {
    let variants = variants(input)?;
    let ident = &input.ident;
    let shared = shared_by_payloads(&input.attrs)?;
    let event_types = variants.iter().map(|variant| &variant.event_type);
    let versions = variants.iter().map(|variant| &variant.version);
    let kinds = variants.iter().enumerate().map(|(nth, variant)| {
        let ident = variant.ident;
        quote!(Self::#ident { .. } => &Self::KINDS[#nth],)
    });
    let structs = variants
        .iter()
        .map(|variant| payload_struct(variant, &shared));
    let written = variants.iter().map(written);
    let read = variants.iter().map(read);
    let shapes = variants.iter().map(shape);
    Ok(quote! {
        const _: () = {
            #(#structs)*

            #[automatically_derived]
            impl ::retold::Event for #ident {
                const KINDS: &'static [::retold::EventKind] =
                    &[#(::retold::EventKind::new(#event_types, #versions)),*];

                fn kind(&self) -> &'static ::retold::EventKind {
                    match self { #(#kinds)* }
                }

                fn into_payload(
                    self,
                ) -> ::std::result::Result<::retold::Json, ::retold::JsonError> {
                    match self { #(#written)* }
                }

                fn from_payload(
                    event_type: &str,
                    payload: &::retold::Json,
                ) -> ::std::result::Result<::std::option::Option<Self>, ::retold::JsonError> {
                    ::std::result::Result::Ok(::std::option::Option::Some(match event_type {
                        #(#read)*
                        _ => return ::std::result::Result::Ok(::std::option::Option::None),
                    }))
                }

                fn shapes() -> ::std::vec::Vec<::retold::EventShape> {
                    ::std::vec![#(#shapes),*]
                }
            }
        };
    })
}

fn variants(input: &DeriveInput) -> Result<Vec<Variant<'_>>> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(
            &input.ident,
            "the events of an aggregate are an enum, with one variant for each thing that can \
             happen to it",
        ));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "events must not be generic: what is recorded has one shape",
        ));
    }
    if data.variants.is_empty() {
        return Err(Error::new_spanned(
            &input.ident,
            "there must be at least one event",
        ));
    }
    let mut variants: Vec<Variant<'_>> = Vec::with_capacity(data.variants.len());
    let mut errors: Option<Error> = None;
    let mut note = |error: Error| match &mut errors {
        Some(errors) => errors.combine(error),
        None => errors = Some(error),
    };
    for variant in &data.variants {
        match Variant::read(variant) {
            Ok(variant) => {
                let name = variant.event_type.value();
                let same = |other: &&Variant<'_>| other.event_type.value() == name;
                if let Some(other) = variants.iter().find(same) {
                    note(Error::new(
                        variant.event_type.span(),
                        format!(
                            "`{name}` is the name of the variant `{}` already: events are told \
                             apart by their names when they are read",
                            other.ident
                        ),
                    ));
                }
                variants.push(variant);
            }
            Err(error) => note(error),
        }
    }
    match errors {
        Some(errors) => Err(errors),
        None => Ok(variants),
    }
}

/// What serde is told beside the enum for the fields of all variants. What concerns the enum as
/// a whole (`tag`, `rename_all`) has no bearing on payloads and may serve the enum's own use.
fn shared_by_payloads(attributes: &[Attribute]) -> Result<Vec<TokenStream>> {
    let mut shared = Vec::new();
    for meta in serde_metas(attributes)? {
        if meta.path().is_ident("rename_all_fields")
            && let Meta::NameValue(pair) = &meta
        {
            let rule = &pair.value;
            shared.push(quote!(rename_all = #rule));
        } else if meta.path().is_ident("deny_unknown_fields") {
            shared.push(quote!(deny_unknown_fields));
        }
    }
    Ok(shared)
}

fn serde_metas<'a>(attributes: impl IntoIterator<Item = &'a Attribute>) -> Result<Vec<Meta>> {
    let mut metas = Vec::new();
    for attribute in attributes {
        if attribute.path().is_ident("serde") {
            let list = Punctuated::<Meta, Token![,]>::parse_terminated;
            metas.extend(attribute.parse_args_with(list)?);
        }
    }
    Ok(metas)
}

fn payload_ident(variant: &Variant<'_>) -> Ident {
    format_ident!("__{}Payload", variant.ident)
}

fn payload_struct(variant: &Variant<'_>, shared: &[TokenStream]) -> TokenStream {
    let fields = match &variant.payload {
        Payload::Value(_) => return TokenStream::new(),
        Payload::Empty => Vec::new(),
        Payload::Object(fields) => {
            let fields = fields.named.iter().map(|field| {
                let (ident, of_type) = (&field.ident, &field.ty);
                // Not its documentation: a better sentence is no change of the shape.
                let attributes = field.attrs.iter().filter(|attribute| {
                    attribute.path().is_ident("serde") || attribute.path().is_ident("schemars")
                });
                quote!(#(#attributes)* #ident: #of_type)
            });
            fields.collect()
        }
    };
    let (ident, name) = (payload_ident(variant), variant.ident.to_string());
    let expected = format!("the payload of {}", variant.event_type.value());
    // A rule of the variant's own takes the place of the one for all.
    let own: Vec<Meta> = serde_metas(variant.attributes.iter().copied())
        .unwrap_or_default()
        .into_iter()
        .filter(|meta| {
            meta.path().is_ident("rename_all") || meta.path().is_ident("deny_unknown_fields")
        })
        .collect();
    let rules = if own.is_empty() {
        quote!(#(, #shared)*)
    } else {
        quote!(#(, #own)*)
    };
    quote! {
        #[derive(
            ::retold::__private::serde::Serialize,
            ::retold::__private::serde::Deserialize,
            ::retold::schemars::JsonSchema,
        )]
        #[serde(crate = "::retold::__private::serde", rename = #name, expecting = #expected #rules)]
        #[schemars(crate = "::retold::schemars")]
        struct #ident { #(#fields),* }
    }
}

fn written(variant: &Variant<'_>) -> TokenStream {
    let (ident, payload) = (variant.ident, payload_ident(variant));
    match &variant.payload {
        Payload::Empty => quote! {
            Self::#ident => ::retold::Json::from_value(&#payload {}),
        },
        Payload::Value(_) => quote! {
            Self::#ident(value) => ::retold::Json::from_value(&value),
        },
        Payload::Object(fields) => {
            let names: Vec<_> = fields.named.iter().map(|field| &field.ident).collect();
            quote! {
                Self::#ident { #(#names),* } => {
                    ::retold::Json::from_value(&#payload { #(#names),* })
                }
            }
        }
    }
}

fn read(variant: &Variant<'_>) -> TokenStream {
    let (ident, payload) = (variant.ident, payload_ident(variant));
    let event_type = &variant.event_type;
    match &variant.payload {
        Payload::Empty => quote! {
            #event_type => {
                let #payload {} = ::retold::Json::decode(payload)?;
                Self::#ident
            }
        },
        Payload::Value(_) => quote! {
            #event_type => Self::#ident(::retold::Json::decode(payload)?),
        },
        Payload::Object(fields) => {
            let names: Vec<_> = fields.named.iter().map(|field| &field.ident).collect();
            quote! {
                #event_type => {
                    let #payload { #(#names),* } = ::retold::Json::decode(payload)?;
                    Self::#ident { #(#names),* }
                }
            }
        }
    }
}

fn shape(variant: &Variant<'_>) -> TokenStream {
    let payload = payload_ident(variant);
    let (event_type, version) = (&variant.event_type, &variant.version);
    match &variant.payload {
        Payload::Value(of_type) => {
            quote!(::retold::EventShape::of::<#of_type>(#event_type, #version))
        }
        _ => quote!(::retold::EventShape::of::<#payload>(#event_type, #version)),
    }
}
