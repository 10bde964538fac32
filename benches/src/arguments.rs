//! `--name value`, and nothing else.

/// The number behind `name`, or another one where it is not given.
///
/// # Panics
///
/// What stands behind it is no number.
#[must_use]
pub fn number(name: &str, otherwise: u64) -> u64 {
    text(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} {text}: expected a number")))
}

/// As [`number`], where it has to be small.
///
/// # Panics
///
/// It is no number, or too large.
#[must_use]
pub fn small(name: &str, otherwise: u32) -> u32 {
    u32::try_from(number(name, otherwise.into())).unwrap_or_else(|_| panic!("{name}: expected a small number"))
}

#[must_use]
pub fn text(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.next()?;
    arguments.next()
}
