//! The rules by which a message is suppressed or deferred, in the order they are
//! asked in. docs/workflows/cart-recovery.md tells each in words.

use tradewind_domain::Name;

macro_rules! rules {
    ($($rule:ident $word:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $($rule,)*
        }

        impl Rule {
            pub const ALL: &[Rule] = &[$(Rule::$rule,)*];

            /// The word in decisions; never changes.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Rule::$rule => $word,)*
                }
            }
        }
    };
}

rules! {
    Ordered "ordered",
    Expired "expired",
    Off "off",
    Observe "observe",
    Holdout "holdout",
    OpenTicket "open_ticket",
    NoBinding "no_binding",
    NoContact "no_contact",
    Stopped "stopped",
    Cap "cap",
}

impl Rule {
    /// It passes by itself, so the message is deferred unless that takes too long.
    #[must_use]
    pub const fn defers(self) -> bool {
        match self {
            Rule::Stopped | Rule::Cap => true,
            Rule::Ordered
            | Rule::Expired
            | Rule::Off
            | Rule::Observe
            | Rule::Holdout
            | Rule::OpenTicket
            | Rule::NoBinding
            | Rule::NoContact => false,
        }
    }

    pub(super) fn name(self) -> Name {
        Name::fixed(self.as_str())
    }
}
