//! Requests that did not do it: each is counted, and an operator is told when they begin and when they are over.

use std::collections::BTreeMap;

use tradewind_domain::{Account, Capability, Name};

/// Why a request did not do it. The command is tried again until its deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setback {
    /// The word in metrics.
    pub(crate) reason: &'static str,
    /// The vendor's, where it answered.
    pub(crate) code: Option<Name>,
}

impl Setback {
    pub(crate) fn of(reason: &'static str, code: impl Into<Option<Name>>) -> Setback {
        Setback { reason, code: code.into() }
    }
}

/// What was told last of each account.
#[derive(Debug, Default)]
pub(crate) struct Setbacks(BTreeMap<(Account, Capability), Setback>);

/// What is worth telling of a request that has ended.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Began,
    Over,
}

impl Setbacks {
    /// A request has ended.
    pub(crate) fn note(&mut self, vendor: &str, account: (Account, Capability), setback: Option<Setback>) {
        let (name, capability) = (account.0.clone(), account.1.as_str());
        let told = setback.clone();
        match self.news(account, setback) {
            None => {}
            Some(News::Began) => {
                let Setback { reason, code } = told.expect("what began is a setback");
                let code = code.as_ref().map_or("", Name::as_str);
                tracing::warn!(vendor, account = %name, capability, reason, code, "requests fail; each command is tried again until its deadline");
            }
            Some(News::Over) => {
                tracing::info!(vendor, account = %name, capability, "requests are answered as usual again")
            }
        }
    }

    fn news(&mut self, account: (Account, Capability), setback: Option<Setback>) -> Option<News> {
        match setback {
            None => self.0.remove(&account).map(|_| News::Over),
            Some(setback) => {
                let before = self.0.insert(account, setback.clone());
                (before != Some(setback)).then_some(News::Began)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_of_setback_is_told_once_for_an_account_until_it_is_over() {
        let mut setbacks = Setbacks::default();
        let account = |name| (Account::new(name).unwrap(), Capability::MessageSend);
        let withdrawn = || Some(Setback::of("failed", Name::new("not_authenticated").unwrap()));
        assert_eq!(setbacks.news(account("a"), None), None);
        assert_eq!(setbacks.news(account("a"), withdrawn()), Some(News::Began));
        assert_eq!(setbacks.news(account("a"), withdrawn()), None);
        assert_eq!(setbacks.news(account("b"), withdrawn()), Some(News::Began));
        assert_eq!(setbacks.news(account("a"), Some(Setback::of("unreachable", None))), Some(News::Began));
        assert_eq!(setbacks.news(account("a"), None), Some(News::Over));
        assert_eq!(setbacks.news(account("a"), None), None);
    }
}
