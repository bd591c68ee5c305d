//! Enums whose variants are all listed with a name that a person reads: what is counted in
//! tables, and what can be chosen by name.

macro_rules! listed {
    ($(#[$meta:meta])* $visibility:vis enum $name:ident { $($variant:ident = $label:literal,)+ }) => {
        $(#[$meta])*
        // Who lists and names them comes with the feature.
        #[cfg_attr(not(feature = "simulator"), allow(unreachable_pub, dead_code))]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        $visibility enum $name { $(#[doc = $label] $variant,)+ }

        #[cfg_attr(not(feature = "simulator"), allow(unreachable_pub, dead_code))]
        impl $name {
            /// All of them, in order.
            $visibility const ALL: &[$name] = &[$($name::$variant,)+];

            /// What a person reads.
            $visibility fn label(self) -> &'static str {
                match self { $($name::$variant => $label,)+ }
            }
        }
    };
}

pub(crate) use listed;
