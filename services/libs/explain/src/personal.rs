//! Personal fields of what is shown: sealed, until somebody at the rim opens them.

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use tradewind_domain::Sealed;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Personal {
    pub sealed: Sealed,
    pub shown: Shown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    Sealed,
    Opened(String),
    /// Its key is gone, and with it the value.
    Erased,
}

impl Personal {
    /// Sealed, as it stands on the log.
    #[must_use]
    pub fn new(sealed: &Sealed) -> Personal {
        Personal { sealed: sealed.clone(), shown: Shown::Sealed }
    }

    /// Those of the fields that are there.
    pub(crate) fn of<const N: usize>(fields: [&Option<Sealed>; N]) -> Vec<Personal> {
        fields.into_iter().flatten().map(Personal::new).collect()
    }

    /// The field's word, such as `first name`.
    #[must_use]
    pub fn name(&self) -> String {
        self.sealed.field.replace('_', " ")
    }

    /// Its value, or the word for why there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        match &self.shown {
            Shown::Sealed => "sealed",
            Shown::Opened(value) => value,
            Shown::Erased => "erased",
        }
    }
}

/// Never the ciphertext.
impl Serialize for Personal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (state, value) = match &self.shown {
            Shown::Sealed => ("sealed", None),
            Shown::Opened(value) => ("opened", Some(value)),
            Shown::Erased => ("erased", None),
        };
        let mut personal = serializer.serialize_struct("Personal", 3)?;
        personal.serialize_field("field", &self.name())?;
        personal.serialize_field("state", state)?;
        personal.serialize_field("value", &value)?;
        personal.end()
    }
}
