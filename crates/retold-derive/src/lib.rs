//! `#[derive(Event)]`, which `retold` re-exports and documents. `variant` reads what is written
//! beside each variant, `event` writes the implementation.

mod event;
mod variant;

use proc_macro::TokenStream;

/// Makes an enum the events of an aggregate: see `retold::Event`.
#[proc_macro_derive(Event, attributes(event, serde, schemars))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    event::expand(&input).into()
}
