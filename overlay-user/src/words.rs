//! Words for messages: quoting what a person wrote, and guessing what was meant.

use std::fmt::Display;

/// The longest text of a person's that a message repeats, in characters.
const LONGEST_QUOTE: usize = 64;

/// `text` in quotes, on one line and cut to a bearable length.
pub(crate) fn quoted(text: &str) -> String {
    let mut kept: String = text.chars().take(LONGEST_QUOTE).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    format!("{kept:?}")
}

/// The candidate that `word` is most likely a misspelling of.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().take(LONGEST_QUOTE + 1).count();
    // The distance costs the product of both lengths, and the word may be as long as a file.
    if length > LONGEST_QUOTE {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= (length / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

/// The remedy for a word that is none of `known`: the nearest of them, or all of them, `what` being their plural.
pub(crate) fn suggestion<'a, I>(word: &str, known: I, what: &str) -> String
where
    I: IntoIterator<Item = &'a str>,
    I::IntoIter: Clone,
{
    let known = known.into_iter();
    match nearest(word, known.clone()) {
        Some(near) => format!("did you mean {}?", quoted(near)),
        None => format!("the {what} are {}", list(known.collect::<Vec<_>>())),
    }
}

/// The items separated by commas; of a long list the first few and how many more there are.
pub(crate) fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    const SHOWN: usize = 16;
    let mut items = items.into_iter();
    let shown: Vec<String> = items.by_ref().take(SHOWN).map(|item| item.to_string()).collect();
    let text = shown.join(", ");
    match items.count() {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_one_short_line() {
        assert_eq!(quoted("a\n\"b\""), r#""a\n\"b\"""#);
        assert_eq!(quoted(&"x".repeat(1000)).chars().count(), LONGEST_QUOTE + 3);
    }

    #[test]
    fn nearest_forgives_a_slip_but_not_another_word() {
        let known = ["blue", "green", "subnets"];
        assert_eq!(nearest("bleu", known), Some("blue"));
        assert_eq!(nearest("subnet", known), Some("subnets"));
        assert_eq!(nearest("purple", known), None);
        assert_eq!(nearest(&"b".repeat(100_000), known), None);
    }

    #[test]
    fn a_long_list_is_cut() {
        assert_eq!(list([1, 2]), "1, 2");
        assert!(list(0..100).ends_with("15 and 84 more"));
    }
}
