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
    Began(Setback),
    Over,
}

impl Setbacks {
    /// A request was answered, or came to nothing.
    pub(crate) fn note(&mut self, vendor: &str, account: (Account, Capability), setback: Option<Setback>) {
        let (name, capability) = (account.0.clone(), account.1.as_str());
        match self.news(account, setback) {
            None => {}
            Some(News::Began(Setback { reason, code })) => {
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
                (before.as_ref() != Some(&setback)).then_some(News::Began(setback))
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
        let withdrawn = Setback::of("failed", Name::new("not_authenticated").unwrap());
        let unreachable = Setback::of("unreachable", None);
        let mut told = |name, setback: Option<&Setback>| setbacks.news(account(name), setback.cloned());
        assert_eq!(told("a", None), None);
        assert_eq!(told("a", Some(&withdrawn)), Some(News::Began(withdrawn.clone())));
        assert_eq!(told("a", Some(&withdrawn)), None);
        assert_eq!(told("b", Some(&withdrawn)), Some(News::Began(withdrawn.clone())));
        assert_eq!(told("a", Some(&unreachable)), Some(News::Began(unreachable.clone())));
        assert_eq!(told("a", None), Some(News::Over));
        assert_eq!(told("a", None), None);
    }
}
